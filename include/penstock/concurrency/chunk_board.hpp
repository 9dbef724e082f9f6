// Implements: detail::chunk_board, runs of pulls that one thread publishes, several claim, and the first one takes back when they are done.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace penstock::detail {

/// Chunks have numbers; each is found modulo the window. One belongs to the *consumer* until he publishes it, then to who claims it, and to the
/// consumer again once it is `done`. At most as many are open as the window has items.
class chunk_board {
public:
    struct chunk {
        std::uint64_t first = 0, count = 0, taken = 0;  // pulls; taken: those delivered
        bool started = false;                           // the consumer is at it, or through
        std::atomic<bool> done{false};
    };

    // ---- the consumer ----

    bool opened() const { return chunks_ != nullptr; }
    void open(std::size_t window) {
        window_ = window;
        chunks_ = std::make_unique<chunk[]>(window);
    }
    /// Whether none is open.
    bool empty() const { return head_ == published_.load(std::memory_order_relaxed); }
    /// The next one, to be filled from pull `first` on.
    chunk& fresh(std::uint64_t first) {
        auto& c = at(published_.load(std::memory_order_relaxed));
        c.first = first;
        c.count = c.taken = 0;
        c.started = false;
        c.done.store(false, std::memory_order_relaxed);
        return c;
    }
    void publish() { published_ = published_.load(std::memory_order_relaxed) + 1; }
    chunk const& newest() const { return at(published_.load(std::memory_order_relaxed) - 1); }
    /// One that is done: the oldest open one if they are to be taken in order, else any.
    chunk* ready(bool ordered, std::memory_order order = std::memory_order_acquire) {
        auto const published = published_.load(std::memory_order_relaxed);
        for (auto number = head_; number != published && (!ordered || number == head_); ++number)
            if (auto& c = at(number); !c.started && c.done.load(order)) return &c;
        return nullptr;
    }
    /// Closes the oldest ones that were taken whole. To be called while the consumer is at none.
    void close_finished() {
        while (!empty() && at(head_).started) ++head_;
    }
    /// Calls visit(chunk) for those that hold something still, oldest first, while it says so; `now` is the one the consumer is at.
    template <class Visit>
    void each(chunk const* now, Visit visit) const {
        for (auto number = head_; number != published_.load(std::memory_order_relaxed); ++number)
            if (auto const& c = at(number); (!c.started || &c == now) && !visit(c)) return;
    }
    /// While nobody claims.
    void clear() { published_ = claimed_ = head_ = 0; }

    // ---- whoever has time ----

    /// The oldest one that nobody has; none if `stop` says so.
    chunk* claim(std::atomic<bool> const& stop) {
        auto number = claimed_.load(std::memory_order_relaxed);
        do {
            if (stop || number == published_) return nullptr;  // published_ first read here: what it was stored after is seen
        } while (!claimed_.compare_exchange_weak(number, number + 1));
        return &at(number);
    }
    /// In the one order with every other sequentially consistent operation.
    bool all_claimed() const { return claimed_ == published_; }
    std::uint64_t waiting() const { return published_.load(std::memory_order_relaxed) - claimed_; }

private:
    chunk& at(std::uint64_t number) { return chunks_[number % window_]; }
    chunk const& at(std::uint64_t number) const { return chunks_[number % window_]; }

    std::size_t window_ = 0;
    std::unique_ptr<chunk[]> chunks_;
    std::uint64_t head_ = 0;  // of the consumer: the oldest one that may hold something
    alignas(64) std::atomic<std::uint64_t> published_{0};  // written by the consumer
    alignas(64) std::atomic<std::uint64_t> claimed_{0};
};

}  // namespace penstock::detail
