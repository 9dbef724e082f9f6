// Implements: detail::map_window, a window of items that several threads work on and one consumer takes out: what parallel_map is made of.
#pragma once

#include <penstock/concurrency/chunk_board.hpp>  // defines: chunk_board
#include <penstock/concurrency/executor.hpp>     // defines: executor, executor::task, spin_pause
#include <penstock/concurrency/map_cell.hpp>     // defines: map_cell
#include <penstock/concurrency/rewind.hpp>       // defines: rewind
#include <penstock/core/clock.hpp>               // defines: monotonic_ns, moving_average
#include <penstock/core/keyed.hpp>               // defines: value_of, rewrap
#include <penstock/core/offset_bits.hpp>         // defines: offset_bits
#include <penstock/core/replay.hpp>              // defines: replay
#include <penstock/core/source.hpp>              // defines: source and its optional members
#include <penstock/core/stats.hpp>               // defines: stats_report, collect_stats

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::detail {

inline constexpr std::uint64_t most_map_window = 1'000'000;

/// The items of S between the oldest that was not delivered and the newest that was pulled, at most `window`, and what f made of them.
///
/// The consumer alone pulls S, cuts what came into chunks and publishes those by number; whoever has time *claims* the oldest one that nobody has
/// and works it off: helpers, which are leaf tasks of the executor and never wait, and the consumer while his item is not ready. So he never waits for a
/// queued task, but only for a thread that is inside f, and everything ends on an executor of one thread, or with all its threads busy.
///
/// A chunk and its cells have one owner at a time: see chunk_board. Cells are found by the number of their pull, modulo the window. A chunk holds
/// about `chunk_ns` of work, so that threads meet rarely, and helpers are woken only for more work than waking costs: a trivial f runs on the consumer.
template <source S, class F>
class map_window {
    using input = typename S::item_type;
    static constexpr std::uint64_t chunk_ns = 100'000, worth_waking_ns = 10'000;

public:
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<std::invoke_result_t<F const&, penstock::value_of<input>>>()));

    map_window(S before, F f, std::size_t threads, std::size_t window, bool ordered, executor* pool)
        : up_(std::move(before)), f_(std::move(f)), threads_(threads), window_(window), ordered_(ordered), pool_(pool),
          replay_("parallel_map", (window != 0 && window <= 16) || facts_of(up_).unordered ? 1 : 64, !facts_of(up_).unordered) {  // unordered: nothing may have to be pulled again
        if (!ordered_) refuse_unordered(facts_of(up_), "parallel_map({.ordered = false})");  // which of a window were delivered is told by their numbers
    }
    map_window(map_window const&) = delete;
    ~map_window() { stop_helpers(); }

    std::optional<item_type> next() {
        while (true) {
            while (now_) {
                auto& here = cells_[now_at_];
                if (++now_at_ == window_) now_at_ = 0;
                auto const error = std::exchange(here.error, nullptr);
                auto item = std::exchange(here.out, std::nullopt);
                if (++now_->taken == now_->count) now_ = nullptr;
                held_ -= std::exchange(here.counted, false);
                if (error) {
                    ++errors_;
                    std::rethrow_exception(error);
                }
                if (!item) continue;  // delivered before the load that brought it back
                ++items_;
                return item;
            }
            if (!advance()) {
                if (end_ == end_of_input::ahead) end_ = end_of_input::met;
                return std::nullopt;
            }
        }
    }
    /// Passes over items that f was not asked about yet without asking it.
    bool discard() {
        if (now_ || !board_.empty() || !passed_.empty()) return next().has_value();
        if (ended_) return false;
        replay_.release(replay_.pulls());
        if (replay_.pull(up_)) return true;
        ended_ = true;
        end_ = end_of_input::met;
        return false;
    }

    void reset(epoch e) {
        if (facts_of(up_).goes_on) {
            rewind_to_consumer();
            if (!passed_.empty())  // the next epoch mixes anew, so their numbers mean other items there
                throw config_error("parallel_map, unordered: the epoch is left in the middle, but its sources go on, and some of their items were delivered before others"
                                   "\n  HINT: {.ordered = true}, or put take(n) before parallel_map");
        }
        clear();
        up_.reset(e);
        replay_.reset();
    }
    void save(state_writer& w) const {
        auto const oldest = oldest_held();
        replay_.release(oldest);
        replay_.save(w, up_, oldest, end_);
        auto record = w.stage("parallel_map", 1);
        offset_bits delivered;  // none, where they are taken in order
        delivered.put_below(replay_.pulls() - oldest);
        each_held([&](std::uint64_t at) { delivered.drop(at - oldest); });
        for (auto const at : passed_) delivered.put(at - oldest);  // those a load brought back and nobody pulled yet
        delivered.save(record);
    }
    void load(state_reader& r) {
        clear();
        replay_.load(r, up_);
        auto const record = r.stage("parallel_map", 1);
        offset_bits delivered;
        delivered.load(record, most_map_window);
        replay_.repeat(up_, [](std::uint64_t) { return false; }, [](std::uint64_t, input&&) {});
        delivered.each([&](std::uint64_t k) { passed_.push_back(replay_.pulls() + k); });
        end_ = replay_.end();
    }
    /// After the end, when nothing of what was pulled is still to come.
    cover trailing() {
        if (end_ == end_of_input::ahead) return {};
        end_ = end_of_input::told;
        return penstock::trailing(up_);
    }
    void rewind_to_consumer() { rewind<S>(*this, "parallel_map", held_ != 0); }
    size_hint hint() const {
        auto h = hint_of(up_);
        h.lower -= (std::min<std::uint64_t>)(h.lower, passed_.size());
        return h.plus(held_);
    }
    void stats(stats_report& r) const {
        collect_stats(up_, r);
        auto& s = r.emplace_back();
        s.name = "parallel_map";
        s.items = items_;
        s.errors = errors_;
        s.busy_ns = busy_ns_.load(std::memory_order_relaxed);
        s.wait_in_ns = wait_ns_;
        s.held = held_;
    }
    bool ordered() const { return ordered_; }
    S& up() { return up_; }
    S const& up() const { return up_; }

private:
    using cell = map_cell<input, item_type>;
    using chunk = chunk_board::chunk;
    struct helper final : executor::task {
        map_window* owner = nullptr;
        std::atomic<bool> out{false};  // queued or running
        helper() : task(executor::kind::leaf) {}
        void run() noexcept override { owner->help(*this); }
    };

    // ---- whoever has time ----

    bool work_one() noexcept {
        auto* const claimed = board_.claim(stop_);
        if (!claimed) return false;
        auto& c = *claimed;
        auto const from = monotonic_ns();
        for (std::uint64_t i = 0; i != c.count && !stop_.load(std::memory_order_relaxed); ++i) cells_[(c.first + i) % window_].make(f_);
        auto const took = monotonic_ns() - from;
        busy_ns_.fetch_add(took, std::memory_order_relaxed);
        mean_ns_.store(moving_average(mean_ns_.load(std::memory_order_relaxed), took / c.count), std::memory_order_relaxed);
        c.done = true;
        if (!waiting_) return true;  // both sequentially consistent: either we see that the consumer waits, or it sees the chunk
        std::lock_guard const hold(lock_);
        waiting_ = false;
        changed_.notify_all();
        return true;
    }
    void help(helper& h) noexcept {
        while (true) {
            while (work_one())
                if (pool_->wanted()) return pool_->post(h);  // nothing of ours is touched after it
            std::lock_guard const hold(lock_);  // until the end: whoever sees `out` fall under the lock knows that we are out
            h.out = false;                      // sequentially consistent, as what publishes: either we see the chunk, or the consumer sees that we are idle
            if (stop_ || board_.all_claimed() || h.out.exchange(true)) return changed_.notify_all();
        }
    }

    // ---- the consumer ----

    /// Makes the next chunk `now_`; false at the end. Pulls while that is not ready, and at least as much as is taken once half of the window is free.
    bool advance() {
        start();
        board_.close_finished();  // now_ is null: it was taken whole
        replay_.release(oldest_held());
        auto const from = monotonic_ns();
        if (2 * (replay_.pulls() - oldest_held()) < window_) pull_chunk();
        while (true) {
            if (auto* c = board_.ready(ordered_)) {
                now_ = c;
                c->started = true;
                now_at_ = static_cast<std::size_t>(c->first % window_);
                break;
            }
            if (pull_chunk()) continue;
            if (board_.empty()) return false;
            if (!work_one() && !pool_->run_one()) park();
        }
        wait_ns_ += monotonic_ns() - from;
        return true;
    }
    /// False if there is no room, or nothing left.
    bool pull_chunk() {
        if (ended_) return false;
        auto const room = window_ - (replay_.pulls() - oldest_held());
        auto const wanted = (std::clamp<std::uint64_t>)(chunk_ns / (mean_ns_.load(std::memory_order_relaxed) + pull_ns_ + 1), 1, largest_);
        if (room < wanted && !board_.empty()) return false;
        auto& c = board_.fresh(replay_.pulls());
        auto const from = monotonic_ns();
        while (c.count != (std::min)(room, wanted) && pull_into(cells_[replay_.pulls() % window_])) ++c.count;
        if (c.count == 0) return false;
        pull_ns_ = moving_average(pull_ns_, (monotonic_ns() - from) / c.count);
        board_.publish();
        wake_helper();
        return true;
    }
    bool pull_into(cell& into) {
        auto const number = replay_.pulls();
        bool const had = !passed_.empty() && passed_.front() == number;
        if (had) passed_.pop_front();
        into.passed = had;
        try {
            auto item = replay_.pull(up_);
            if (!item) {
                ended_ = true;
                return false;
            }
            if (!had) {
                into.in.emplace(std::move(*item));
                into.counted = true;
                ++held_;
            }
        } catch (...) {
            if (!had) into.error = std::current_exception();
        }
        try {
            replay_.settle(up_);  // what save() writes does not depend on how far ahead we are
        } catch (...) {           // the next pull tries again, and its failure comes in order
        }
        return true;
    }
    /// Not for less work than the consumer can do while a thread wakes.
    void wake_helper() {
        if (board_.waiting() * board_.newest().count * mean_ns_.load(std::memory_order_relaxed) < worth_waking_ns) return;
        for (auto& h : helpers_)
            if (!h.out && !h.out.exchange(true)) return pool_->post(h);
    }
    /// Nothing is left to claim: other threads are inside f for us.
    void park() {
        for (int spin = 0; spin != spins_before_sleep; ++spin) {
            if (board_.ready(ordered_)) return;
            spin_pause();
        }
        std::unique_lock hold(lock_);
        while (!board_.ready(ordered_)) {
            waiting_ = true;
            if (board_.ready(ordered_, std::memory_order_seq_cst)) break;  // in the one order with waiting_
            changed_.wait(hold);
        }
        waiting_ = false;
    }
    template <class Visit>
    void each_held(Visit visit) const {
        board_.each(now_, [&](chunk const& c) {
            for (auto i = c.taken; i != c.count; ++i)
                if (!cells_[(c.first + i) % window_].passed) visit(c.first + i);
            return true;
        });
    }
    std::uint64_t oldest_held() const {
        auto oldest = replay_.pulls();
        board_.each(now_, [&](chunk const& c) {
            oldest = c.first + c.taken;
            return false;
        });
        return oldest;
    }
    void start() {
        if (board_.opened()) return;
        if (!pool_) pool_ = &executor::process();
        if (threads_ == 0) threads_ = pool_->threads() + std::size_t{1};
        if (window_ == 0) window_ = 32 * threads_;
        largest_ = (std::clamp<std::uint64_t>)(window_ / (4 * threads_), 1, 64);
        for (std::size_t i = 1; i < (std::min<std::size_t>)(threads_, pool_->threads() + std::size_t{1}); ++i) helpers_.emplace_back().owner = this;
        cells_ = std::vector<cell>(window_);
        board_.open(window_);
    }
    /// Returns when no helper is queued or inside; each ends after the item it is at.
    void stop_helpers() noexcept {
        stop_ = true;
        for (auto& h : helpers_)
            if (pool_->take_back(h)) h.out = false;
        std::unique_lock hold(lock_);
        for (auto& h : helpers_)
            while (h.out) {
                hold.unlock();
                if (pool_->take_back(h)) h.out = false;  // it made way for another task meanwhile
                hold.lock();
                if (h.out) changed_.wait_for(hold, std::chrono::milliseconds(1));
            }
    }
    void clear() {
        stop_helpers();
        stop_ = false;
        board_.clear();
        now_ = nullptr;
        held_ = 0;
        ended_ = false;
        end_ = end_of_input::ahead;
        passed_.clear();
        for (auto& c : cells_) c = cell{};
    }

    S up_;
    F const f_;
    std::size_t threads_, window_;
    bool ordered_;
    executor* pool_;
    mutable replay<S, std::mutex> replay_;  // used by one thread; it is the kind whose state does not depend on how far ahead one is. release() changes no answer
    std::vector<cell> cells_;
    chunk_board board_;
    std::deque<helper> helpers_;

    // of the consumer
    chunk* now_ = nullptr;
    std::size_t now_at_ = 0;
    std::uint64_t held_ = 0;  // items pulled and not delivered
    std::uint64_t largest_ = 1, pull_ns_ = 0;
    std::uint64_t items_ = 0, errors_ = 0, wait_ns_ = 0;
    std::deque<std::uint64_t> passed_;  // pulls that a load passes over, ascending
    bool ended_ = false;
    end_of_input end_ = end_of_input::ahead;  // as the consumer knows it

    // of all
    alignas(64) std::atomic<std::uint64_t> mean_ns_{chunk_ns};  // of f per item; only a guess is needed, so updates may get lost
    std::atomic<std::uint64_t> busy_ns_{0};
    std::atomic<bool> waiting_{false}, stop_{false};
    std::mutex lock_;  // orders parking and the end of helpers
    std::condition_variable changed_;
};

}  // namespace penstock::detail
