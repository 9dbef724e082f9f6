// Implements: detail::read_ahead, a source pulled by a task of an executor into a ring: what prefetch and to_device are made of.
#pragma once

#include <penstock/concurrency/executor.hpp>     // defines: executor, executor::task
#include <penstock/concurrency/hand_over.hpp>    // defines: hand_over
#include <penstock/concurrency/linked_stop.hpp>  // defines: linked_stop
#include <penstock/concurrency/rewind.hpp>       // defines: rewind
#include <penstock/core/clock.hpp>               // defines: monotonic_ns
#include <penstock/core/control.hpp>             // defines: control_walk, steered
#include <penstock/core/replay.hpp>              // defines: replay
#include <penstock/core/source.hpp>              // defines: source and its optional members, attach
#include <penstock/core/stats.hpp>               // defines: stage_stats, stats_report, collect_stats

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace penstock::detail {

/// The source S, pulled ahead by at most `items`. Stays where it is: a stage holds it by pointer, so that the stage may move while it works.
///
/// Two parties share the ring, at most one thread each: the consumer, who calls every public member, and the *turn*, whoever runs work().
/// Turns follow each other and never overlap; `busy_` is true from the moment a turn is asked for until no further one is queued. The
/// source belongs to the turn while busy_ is true and to the consumer while it is false.
///
/// A turn that fills the ring ends and leaves no trace in the executor; the consumer asks for the next one when half of the ring is empty.
/// A consumer that finds the ring empty runs the turn himself unless a thread is at it already, one item long, so that nobody ever waits for a
/// queued task: chains of these finish on an executor of one thread whose thread is busy elsewhere.
///
/// Per item nobody reads the clock, takes a lock or waits for a cache line that the other writes: see hand_over. A consumer that catches up with the
/// turn lets it get ahead for a moment.
template <source S>
class read_ahead final : executor::task {
    static constexpr int spins_to_get_ahead = 32;
    static constexpr std::uint64_t timed = 8;
    static constexpr auto a_moment = std::chrono::milliseconds(1);

public:
    using item_type = typename S::item_type;

    read_ahead(std::string name, S input, std::size_t items, executor* pool)
        : task(executor::kind::waits), up_(std::move(input)), name_(std::move(name)), half_(items / 2),
          chunk_(std::clamp<std::size_t>(items / 2, 1, 64)), every_(items <= 16 || facts_of(up_).unordered ? 1 : items), pool_(pool), ring_(items), replay_(name_, every_, !facts_of(up_).unordered) {
        penstock::attach(up_, stop_reads_.token());
    }
    read_ahead(read_ahead const&) = delete;
    ~read_ahead() {
        stop_turns();
        stop_reads_.request();  // a read that waits for something outside ends with an error that nobody sees
        join();
    }

    std::optional<item_type> next() {
        if (!ring_.ready() && !wait_for()) {
            if (end_ == end_of_input::ahead) end_ = end_of_input::met;
            return std::nullopt;
        }
        auto item = ring_.take();
        if (ring_.tell_due()) give_room();
        if (!item) {
            ++errors_;
            std::rethrow_exception(ring_.failure());
        }
        ++items_;
        return item;
    }

    void reset(epoch e)
        requires resettable<S>
    {
        if (started_ && said_.goes_on) rewind_to_consumer();
        clear();
        up_.reset(e);
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        auto const position = position_before_ + ring_.taken();
        replay_.release(position);
        replay_.save(w, up_, position, end_);  // the source itself only before the first turn, else what a turn left of it
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        clear();
        replay_.load(r, up_);
        replay_.repeat(up_, [](std::uint64_t) { return false; }, [](std::uint64_t, item_type&&) {});
        position_before_ = replay_.pulls();
        end_ = replay_.end();
    }
    /// Waits for the item that is being made.
    void rewind_to_consumer() {
        if (started_) rewind<S>(*this, name_, !over());
    }
    void controls(control_walk& w) const
        requires steered<S>
    {
        up_.controls(w);
    }
    size_hint hint() const {
        if (!started_) return hint_of(up_);
        auto h = said_left_;
        auto const done = items_ - items_before_, failed = errors_ - errors_before_;
        h.lower -= (std::min)(h.lower, done + failed);  // a failure may or may not have cost an item
        if (h.upper) *h.upper -= (std::min)(*h.upper, done);
        if (over()) h = {0, 0};
        return h;
    }
    chain_facts facts() const { return started_ ? said_ : facts_of(up_); }
    /// Ends waits of the source too; those of an earlier token no more.
    void attach(std::stop_token token)
        requires stoppable<S>
    {
        stop_turns();
        join();
        stop_ = false;
        stop_reads_.link(std::move(token));
        up_.attach(stop_reads_.token());
    }
    /// After the end as the consumer met it, when no turn will touch the source again: that a turn met it already is a matter of time.
    cover trailing() {
        if (end_ == end_of_input::ahead) return {};
        std::unique_lock hold(lock_);
        changed_.wait(hold, [&] { return !busy_; });
        end_ = end_of_input::told;
        return penstock::trailing(up_);
    }
    void stats(stats_report& r) const {
        std::lock_guard const hold(lock_);
        if (!busy_) collect_stats(up_, r);
        else r.insert(r.end(), told_.begin(), told_.end());
        auto& s = r.emplace_back();
        s.name = name_;
        s.items = items_;
        s.errors = errors_;
        s.busy_ns = busy_ns_.load(std::memory_order_relaxed);
        s.wait_in_ns = wait_in_ns_;
        s.wait_out_ns = wait_out_ns_;
        s.held = ring_.made() - ring_.taken();
        s.threads = true;
    }

private:
    // ---- the turn ----

    void run() noexcept override { while (work()) {} }

    /// Makes a few items. True if there is more to do and the turn is still the caller's: nobody else waits for his thread.
    bool work() noexcept {
        auto const from = monotonic_ns();
        for (auto left = chunk_; left != 0 && !stop_.load(std::memory_order_relaxed) && room(); --left) make_one();
        auto const to = monotonic_ns();
        busy_ns_.fetch_add(to - from, std::memory_order_relaxed);

        std::lock_guard const hold(lock_);  // until the end: whoever sees busy_ fall under the lock knows that this turn is out
        tell(to);
        filled_ = to;
        return turn_over(pool_->wanted());
    }
    /// The end of a turn, under the lock: queues the next one if there is work left and somebody else wants the thread. True if there is and nobody does.
    bool turn_over(bool wanted) noexcept {
        if (!stop_ && room()) {
            if (wanted) pool_->post(*this);
            return !wanted;
        }
        busy_ = false;
        if (!stop_ && !ended_ && ring_.made() - ring_.told() <= half_ && !busy_.exchange(true)) pool_->post(*this);  // emptied meanwhile; the consumer saw us busy
        changed_.notify_one();
        return false;
    }
    bool room() { return !ended_.load(std::memory_order_relaxed) && ring_.room(); }

    void make_one() noexcept {
        bool end = false;
        try {
            if (auto item = replay_.pull(up_)) ring_.put(std::move(*item));
            else end = true;
        } catch (...) {
            ring_.put(std::current_exception());
        }
        if (!end) {
            try {
                replay_.settle(up_);  // before the item is seen: what save() writes after it does not depend on how far ahead we are
            } catch (...) {           // the next pull tries again, and its failure comes in order
            }
            ring_.show();
        } else ended_ = true;
        if (!waiting_.load(std::memory_order_relaxed)) return;  // he may have begun to wait this very moment: see park()
        std::lock_guard const hold(lock_);
        waiting_ = false;
        changed_.notify_one();
    }
    /// Now and then, under the lock.
    void tell(std::uint64_t now) noexcept {
        if (now - told_at_ <= 100'000'000) return;
        told_at_ = now;
        try {
            told_.clear();
            collect_stats(up_, told_);
        } catch (...) {  // out of memory: the figures are missing this time
            told_.clear();
        }
    }

    // ---- the consumer ----

    void release(std::uint64_t taken) {
        released_ = taken;
        replay_.release(position_before_ + taken);
    }
    bool over() const { return ended_ && ring_.made() == ring_.taken(); }
    /// Tells the turn what was taken. If half of the ring is empty and no turn is asked for, asks for one.
    void give_room() {
        ring_.tell();  // sequentially consistent, as busy_: either we see that the turn has ended, or it sees that there is room
        if (ring_.taken() - released_ >= every_) release(ring_.taken());
        if (busy_ || ended_.load(std::memory_order_relaxed) || ring_.made() - ring_.taken() > half_ || busy_.exchange(true)) return;
        wait_out_ns_ += monotonic_ns() - filled_;
        pool_->post(*this);
    }
    /// Waits until the next item is there; false at the end. Of quick items made here one in `timed` is timed, for all of them.
    bool wait_for() {
        if (ended_.load(std::memory_order_acquire)) return ring_.look();
        start();
        ring_.tell();
        bool const timing = !quick_ || waits_++ % timed == 0;
        auto const from = timing ? monotonic_ns() : 0;
        auto const there = [&] { return ring_.look() || ended_; };
        while (!there()) {
            if (!busy_.exchange(true) || pool_->take_back(*this)) make_here(timing);
            else if (!pool_->run_one()) {
                auto const parked = monotonic_ns();
                park(there);
                wait_in_ns_ += monotonic_ns() - parked;
                return ring_.look();
            }
        }
        if (timing) {
            auto const took = monotonic_ns() - from, all = std::exchange(quick_, took < 1000) && quick_ ? timed * took : took;
            wait_in_ns_ += all;
            busy_ns_.fetch_add(all, std::memory_order_relaxed);
        }
        return ring_.look();
    }
    /// The turn is ours: one item of it, no more, as the next one may take long, or never come.
    void make_here(bool timing) noexcept {
        if (!stop_.load(std::memory_order_relaxed) && room()) make_one();
        std::lock_guard const hold(lock_);
        if (timing) tell(monotonic_ns());
        (void)turn_over(true);
    }
    /// A thread is in the middle of our turn: it will make an item, or find the end.
    template <class There>
    void park(There there) {
        for (int spin = 0; spin != spins_before_sleep; ++spin) {
            if (there()) {  // now and then it gets ahead, so that we do not wait for every single item
                for (int more = 0; more != spins_to_get_ahead; ++more) spin_pause();
                return;
            }
            for (int i = 0; i != 4; ++i) spin_pause();
        }
        std::unique_lock hold(lock_);
        while (!there()) {
            waiting_ = true;
            // The turn does not wait for its store of an item before it looks at waiting_, so it may miss us as we miss the item. A moment later neither does.
            if (there() || changed_.wait_for(hold, a_moment, there)) break;
            changed_.wait(hold);
        }
        waiting_ = false;
    }
    void start() {
        if (started_) return;
        if (!pool_) pool_ = &executor::process();
        ring_.open();
        said_ = facts_of(up_);
        said_left_ = hint_of(up_);
        items_before_ = items_;
        errors_before_ = errors_;
        started_ = true;
    }
    void stop_turns() noexcept {
        std::lock_guard const hold(lock_);  // a turn decides under it whether to ask for another one
        stop_ = true;
    }
    /// Returns when no turn is queued or running.
    void join() noexcept {
        bool const ours = started_ && pool_->take_back(*this);
        std::unique_lock hold(lock_);
        if (ours) busy_ = false;
        changed_.wait(hold, [&] { return !busy_; });
    }
    /// Stops and forgets what is held: the source is ours, to be placed anew. Waits for the item that is being made.
    void clear() {
        stop_turns();
        join();
        stop_ = started_ = ended_ = false;
        end_ = end_of_input::ahead;
        ring_.clear();
        position_before_ = released_ = 0;
        replay_.reset();
    }

    S up_;
    std::string name_;
    std::size_t half_, chunk_;
    std::uint64_t every_;  // pulls from one snapshot of the source to the next
    executor* pool_;
    hand_over<item_type> ring_;
    linked_stop stop_reads_;
    mutable replay<S, std::mutex> replay_;                // release() changes no answer

    // of the consumer
    bool started_ = false;
    end_of_input end_ = end_of_input::ahead;
    std::uint64_t position_before_ = 0, released_ = 0;    // pulls of the source before the first item of the ring; items the replay was told of
    std::uint64_t items_ = 0, errors_ = 0, items_before_ = 0, errors_before_ = 0;
    std::uint64_t wait_in_ns_ = 0, wait_out_ns_ = 0, waits_ = 0;
    bool quick_ = false;  // the item made here that was timed last
    chain_facts said_;  // of the source, before the first turn of the epoch
    size_hint said_left_;

    // of both
    alignas(64) std::atomic<bool> busy_{false};  // these four are written rarely and read by both per item
    std::atomic<bool> waiting_{false};
    std::atomic<bool> ended_{false};
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<std::uint64_t> busy_ns_{0};
    mutable std::mutex lock_;  // orders the end of a turn, parking and stopping
    std::condition_variable changed_;
    std::uint64_t filled_ = 0, told_at_ = 0;  // written under the lock or while no turn is asked for
    stats_report told_;                       // what the stages before said last; under the lock
};

}  // namespace penstock::detail
