// Implements: detail::hand_over<T>, a ring that one thread fills and another empties, with failures in their order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace penstock::detail {

/// At most `capacity` items on their way from the *maker* to the *taker*, at most one thread each. Items and failures are numbered from 0.
///
/// Each keeps a copy of the other's cursor, never more than it is, and looks at the original only when the copy says that the ring is full, or empty:
/// per item neither takes a lock, waits for its own stores or touches a cache line that the other writes. The taker's cursor is told every `step`
/// items only, so up to `step - 1` slots look taken up longer than they are.
template <class T>
class hand_over {
public:
    explicit hand_over(std::size_t capacity) : capacity_(capacity), step_(std::clamp<std::uint64_t>(capacity / 8, 1, 64)) {}
    hand_over(hand_over const&) = delete;

    // ---- the maker ----

    bool room() {
        auto const made = made_.load(std::memory_order_relaxed);
        if (made - taken_seen_ < capacity_) return true;
        taken_seen_ = told_.load(std::memory_order_acquire);
        return made - taken_seen_ < capacity_;
    }
    /// Places an item that is not seen before show(). Throws what moving T throws.
    void put(T&& item) { slots_[in_].emplace(std::move(item)); }
    /// The same for what was thrown in its place: its slot stays empty, which is how the taker knows.
    void put(std::exception_ptr failure) {
        slots_[in_].reset();
        std::lock_guard const hold(failing_);
        failures_.push_back(std::move(failure));
    }
    void show() {
        if (++in_ == capacity_) in_ = 0;
        made_.store(made_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    // ---- the taker ----

    /// Before the first item is made.
    void open() {
        if (slots_.empty()) slots_ = std::vector<std::optional<T>>(capacity_);
    }
    /// Whether an item or a failure is there.
    bool ready() { return seen_ != taken_ || look(); }
    bool look() { return (seen_ = made_.load(std::memory_order_acquire)) != taken_; }
    /// The next item, which is ready; none is a failure: see failure().
    std::optional<T> take() {
        auto item = std::exchange(slots_[out_], std::nullopt);
        if (++out_ == capacity_) out_ = 0;
        ++taken_;
        return item;
    }
    /// What was thrown in place of the item that take() did not find.
    std::exception_ptr failure() {
        std::lock_guard const hold(failing_);
        auto first = std::move(failures_.front());
        failures_.pop_front();
        return first;
    }
    std::uint64_t taken() const { return taken_; }
    /// Whether the maker is to be told what was taken: so once in `step` items.
    bool tell_due() const { return taken_ - told_.load(std::memory_order_relaxed) >= step_; }
    /// In the one order with every other sequentially consistent operation.
    void tell() { told_ = taken_; }

    // ---- both ----

    std::uint64_t made() const { return made_; }
    std::uint64_t told() const { return told_; }

    /// While nobody makes.
    void clear() {
        made_ = told_ = 0;
        taken_ = seen_ = taken_seen_ = 0;
        in_ = out_ = 0;
        for (auto& slot : slots_) slot.reset();
        failures_.clear();
    }

private:
    std::size_t capacity_;
    std::uint64_t step_;
    std::vector<std::optional<T>> slots_;
    std::mutex failing_;
    std::deque<std::exception_ptr> failures_;  // of the slots, in order

    std::uint64_t taken_ = 0, seen_ = 0;  // of the taker: items taken; made_ when he looked last
    std::size_t out_ = 0;                 // of the taker: slot of the next item
    alignas(64) std::atomic<std::uint64_t> told_{0};  // items taken, as the taker said last
    alignas(64) std::atomic<std::uint64_t> made_{0};
    std::uint64_t taken_seen_ = 0;  // of the maker: told_ when it looked last
    std::size_t in_ = 0;            // of the maker: slot of the next item
};

}  // namespace penstock::detail
