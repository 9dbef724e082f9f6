// Implements: cover, the positions of the line that an item stands for.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace penstock {

/// Positions [begin, end) of the line of samples: position = pass * samples per pass + slot, unique for ever.
struct interval {
    std::uint64_t begin = 0, end = 0;

    std::uint64_t size() const { return end - begin; }
    friend bool operator==(interval const&, interval const&) = default;
};

/// The line positions an item stands for: its own, and those of items that were dropped before it.
/// One interval lives inline, so the common item allocates nothing. Adding keeps order of arrival and joins neighbours.
class cover {
public:
    cover() = default;
    cover(cover const&) = default;
    cover(cover&& other) noexcept : first_(std::exchange(other.first_, {})), more_(std::move(other.more_)) {}  // nothing stays behind to be told twice
    cover& operator=(cover const&) = default;
    cover& operator=(cover&& other) noexcept {
        first_ = std::exchange(other.first_, {});
        more_ = std::move(other.more_);
        return *this;
    }
    explicit cover(interval one) : first_(one) {}
    static cover at(std::uint64_t position) { return cover({position, position + 1}); }

    void add(interval next) {
        if (next.begin == next.end) return;
        auto& last = more_.empty() ? first_ : more_.back();
        if (last.begin == last.end) last = next;
        else if (last.end == next.begin) last.end = next.end;
        else more_.push_back(next);
    }
    void add(cover const& other) {
        other.each([this](interval i) { add(i); });
    }

    bool empty() const { return first_.begin == first_.end; }
    std::uint64_t count() const {
        std::uint64_t n = 0;
        each([&](interval i) { n += i.size(); });
        return n;
    }
    template <class F>
    void each(F&& f) const {
        if (!empty()) f(first_);
        for (auto const& i : more_) f(i);
    }

    friend bool operator==(cover const&, cover const&) = default;

private:
    interval first_{};
    std::vector<interval> more_;
};

}  // namespace penstock
