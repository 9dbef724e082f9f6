// Implements: prefetch(n), the stages before it worked off ahead of the consumer by a thread of the executor.
#pragma once

#include <penstock/concurrency/read_ahead.hpp>  // defines: detail::read_ahead, executor
#include <penstock/core/stage.hpp>              // defines: stage_of, config_error, message

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace penstock {

struct prefetch_options {
    std::int64_t items = 4;                  ///< most items held ready
    penstock::executor* executor = nullptr;  ///< whose threads work; must outlive the pipeline. None: the process's
};

/// What prefetch builds, and stages that are a prefetch with something before it (`name` is theirs, for state and statistics).
template <source S>
class [[nodiscard]] prefetch_stage {
public:
    using item_type = typename S::item_type;
    using upstream = S;

    prefetch_stage(S input, std::string name, std::size_t items, executor* pool)
        : ahead_(std::make_unique<detail::read_ahead<S>>(std::move(name), std::move(input), items, pool)) {}

    std::optional<item_type> next() { return ahead_->next(); }
    void reset(epoch e)
        requires resettable<S>
    {
        ahead_->reset(e);
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        ahead_->save(w);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        ahead_->load(r);
    }
    /// Forgets what is ahead of the consumer, so that a value the stages before it read takes effect from the next item on.
    void rewind_to_consumer() { ahead_->rewind_to_consumer(); }
    void controls(control_walk& w) const
        requires steered<S>
    {
        if (w.moves()) ahead_->rewind_to_consumer();
        ahead_->controls(w);
    }
    size_hint hint() const {
        return ahead_->hint();
    }
    chain_facts facts() const { return ahead_->facts(); }
    void attach(std::stop_token token)
        requires stoppable<S>
    {
        ahead_->attach(std::move(token));
    }
    penstock::cover trailing()
        requires dropping<S>
    {
        return ahead_->trailing();
    }
    void stats(stats_report& r) const { ahead_->stats(r); }

private:
    std::unique_ptr<detail::read_ahead<S>> ahead_;
};

/// Works the stages before it off in the background, so that items are ready when they are asked for.
///
/// Order    unchanged
/// Buffers  at most `items` items
/// Resume   replay of at most `items` items (of none up to 16); what is held is neither saved nor counted as delivered
/// Threads  none of its own: one task of the executor at a time pulls a few items and queues itself again, and none while it is full; it starts
///          at the first pull and again when half is empty. A consumer that has to wait does that work itself
/// Errors   forwards upstream errors, in order; config_error if items < 1
///
///     from_vector({10, 20, 30}) | prefetch({.items = 2})    // 10 20 30
inline auto prefetch(prefetch_options o = {}) {
    if (o.items < 1 || o.items > 1'000'000)
        throw config_error(message("prefetch(items): items must be 1 to 1000000, got ", o.items, "\n  HINT: 2 to 8 batches, or some hundred single items, hide uneven work"));
    if (!o.executor) (void)executor::default_threads();  // a wrong PENSTOCK_THREADS is refused here, not at the first pull
    return stage_of<prefetch_stage>("prefetch", std::string("prefetch"), static_cast<std::size_t>(o.items), o.executor);
}
inline auto prefetch(std::int64_t items) { return prefetch(prefetch_options{.items = items}); }

}  // namespace penstock
