// Implements: parallel_map(f), every item replaced by what f makes of it, by several threads at once.
#pragma once

#include <penstock/concurrency/map_window.hpp>  // defines: detail::map_window, executor
#include <penstock/core/ask.hpp>                // defines: asks::returns_as_const
#include <penstock/core/stage.hpp>              // defines: stage, broken_chain, config_error, message

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

namespace penstock {

struct parallel_map_options {
    std::int64_t threads = 0;                ///< most threads inside f at once, the consumer's one among them; 0: those of the executor and the consumer's
    std::int64_t window = 0;                 ///< most items between the oldest not delivered and the newest pulled; 0: 32 per thread
    bool ordered = true;                     ///< in the order of the input; false: as they become ready, every one exactly once, another order in every run
    penstock::executor* executor = nullptr;  ///< whose threads help; must outlive the pipeline. None: the process's
};

template <source S, class F>
class [[nodiscard]] parallel_map_stage {
    using window = detail::map_window<S, F>;

public:
    using item_type = typename window::item_type;
    using upstream = S;

    parallel_map_stage(S before, F f, parallel_map_options const& o)
        : window_(std::make_unique<window>(std::move(before), std::move(f), static_cast<std::size_t>(o.threads), static_cast<std::size_t>(o.window), o.ordered, o.executor)) {}

    std::optional<item_type> next() { return window_->next(); }
    bool discard() { return window_->discard(); }
    void reset(epoch e)
        requires resettable<S>
    {
        window_->reset(e);
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        window_->save(w);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        window_->load(r);
    }
    /// Forgets what is ahead of the consumer, so that a value the stages before it or f read takes effect from the next item on.
    void rewind_to_consumer() { window_->rewind_to_consumer(); }
    void controls(control_walk& w) const
        requires steered<S>
    {
        if (w.moves()) window_->rewind_to_consumer();
        window_->up().controls(w);
    }
    size_hint hint() const {
        return window_->hint();
    }
    chain_facts facts() const {
        auto said = facts_of(window_->up());
        said.unordered = said.unordered || !window_->ordered();
        return said;
    }
    cover trailing()
        requires dropping<S>
    {
        return window_->trailing();
    }
    void attach(std::stop_token t)
        requires stoppable<S>
    {
        window_->up().attach(std::move(t));
    }
    void stats(stats_report& r) const { window_->stats(r); }

private:
    std::unique_ptr<window> window_;  // helpers refer to it, so that the stage may move while they work
};

/// Replaces every item by f(item), several at once. Of a keyed item f gets the value, and the result keeps id, cover, key and weight.
/// One f is shared by all threads and called as const: what it captures is theirs in common. Put prefetch before it where the stages before may stall:
/// they are pulled by the consumer's thread; and after it, so that the window is kept full while the consumer does other things.
///
/// Order    unchanged; with ordered = false as items become ready
/// Buffers  at most `window` items
/// Resume   replay of at most 64 items (of none up to a window of 16), which f is not asked about; those inside f are made again. Unordered: the state
///          also tells which of the window were delivered, one bit each, and every item comes exactly once. Stages behind it that
///          find what they hold by pulling again (shuffle, window, dedup, ...) refuse it when they are built
/// Threads  tasks of the executor, at most threads - 1 at a time, and none while there is nothing to do; they call f concurrently and never wait. A
///          consumer whose item is not ready calls f too
/// Errors   forwards those of f and of the stages before, in order; either consumes its item; config_error for a wrong number of threads or window
///
///     range(4) | parallel_map([](auto i) { return i * i; }, {.threads = 2})    // 0 1 4 9
template <class F>
auto parallel_map(F f, parallel_map_options o = {}) {
    constexpr std::int64_t most_threads = 1024, most_window = detail::most_map_window;
    if (o.threads < 0 || o.threads > most_threads)
        throw config_error(message("parallel_map(threads): threads must be 1 to ", most_threads, ", got ", o.threads, "\n  HINT: leave it out to use those of the executor"));
    if (o.window < 0 || o.window > most_window)
        throw config_error(message("parallel_map(window): window must be 1 to ", most_window, ", got ", o.window, "\n  HINT: leave it out for 32 items per thread"));
    if (!o.executor) (void)executor::default_threads();  // a wrong PENSTOCK_THREADS is refused here, not at the first pull
    return stage("parallel_map", [f = std::move(f), o]<class S>(S input) mutable {
        if constexpr (!asks::returns_as_const<"parallel_map", typename S::item_type, F>()) return broken_chain{};
        else return parallel_map_stage<S, F>(std::move(input), std::move(f), o);
    });
}

}  // namespace penstock
