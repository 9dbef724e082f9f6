// Implements: interval_set, positions of the line that were delivered, as merged runs; small in memory and smaller as bytes.
#pragma once

#include <penstock/core/cover.hpp>   // defines: interval, cover
#include <penstock/core/errors.hpp>  // defines: state_error

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock {

/// A set of positions. Adding joins neighbours, so what was delivered in order is one run, and only what a shuffle still holds leaves gaps.
class interval_set {
public:
    interval_set() = default;
    explicit interval_set(interval one) { add(one); }

    void add(interval one) { add(std::span(&one, 1)); }
    void add(cover const& positions) {
        std::vector<interval> all;
        positions.each([&](interval i) { all.push_back(i); });
        add(all);
    }
    void add(interval_set const& other) { add(other.runs_); }
    /// All of these at once: one pass over the runs behind the first of them.
    void add(std::span<interval const> more) {
        std::vector<interval> fresh(more.begin(), more.end());
        std::erase_if(fresh, [](interval i) { return i.begin >= i.end; });
        if (fresh.empty()) return;
        std::sort(fresh.begin(), fresh.end(), [](interval a, interval b) { return a.begin < b.begin; });
        auto const touched = std::lower_bound(runs_.begin(), runs_.end(), fresh.front().begin, [](interval run, std::uint64_t at) { return run.end < at; });  // the first run that ends there or later
        std::vector<interval> tail(touched, runs_.end());
        runs_.erase(touched, runs_.end());
        auto put = [this](interval i) {
            if (!runs_.empty() && i.begin <= runs_.back().end) runs_.back().end = (std::max)(runs_.back().end, i.end);
            else runs_.push_back(i);
        };
        auto a = tail.begin();
        for (auto b = fresh.begin(); a != tail.end() || b != fresh.end();) put(b == fresh.end() || (a != tail.end() && a->begin <= b->begin) ? *a++ : *b++);
    }

    /// The positions of `window` that are not in the set, in order.
    std::vector<interval> missing(interval window) const {
        std::vector<interval> out;
        auto at = window.begin;
        for (auto run = std::upper_bound(runs_.begin(), runs_.end(), at, [](std::uint64_t from, interval i) { return from < i.end; }); run != runs_.end() && run->begin < window.end; ++run) {
            if (at < run->begin) out.push_back({at, run->begin});
            at = run->end;
        }
        if (at < window.end) out.push_back({at, window.end});
        return out;
    }

    std::span<interval const> runs() const { return runs_; }
    bool empty() const { return runs_.empty(); }
    std::uint64_t count() const {
        std::uint64_t n = 0;
        for (auto i : runs_) n += i.size();
        return n;
    }
    void clear() { runs_.clear(); }

    /// Per run the gap before it and its length: two numbers below 16 in one byte (high and low half), else as LEB128 after a byte whose half is 0.
    /// Runs that repeat the gap and the length before them, as those of a stride do, are 0, 0 (no gap) and how many they are.
    std::vector<std::uint8_t> bytes() const {
        std::vector<std::uint8_t> out;
        std::uint64_t at = 0, last_gap = 0, last_length = 0;
        for (std::size_t i = 0; i != runs_.size(); ++i) {
            auto const repeated = repeats(i, at, last_gap, last_length);
            if (repeated >= 4) {
                out.insert(out.end(), {0, 0});
                put_number(out, repeated);
                i += repeated - 1;
                at = runs_[i].end;
                continue;
            }
            auto const run = runs_[i];
            auto const gap = last_gap = run.begin - at, length = last_length = run.size();
            auto const high = gap != 0 && gap < 16 ? gap : 0, low = length < 16 ? length : 0;
            out.push_back(static_cast<std::uint8_t>(high << 4 | low));
            if (high == 0) put_number(out, gap);
            if (low == 0) put_number(out, length);
            at = run.end;
        }
        return out;
    }
    static interval_set parse(std::span<std::uint8_t const> in) {
        interval_set s;
        std::uint64_t at = 0, last_gap = 0, last_length = 0;
        while (!in.empty()) {
            auto const first = in.front();
            in = in.subspan(1);
            auto const gap = first >> 4 ? std::uint64_t{static_cast<std::uint8_t>(first >> 4)} : number(in);
            if (first == 0 && gap == 0 && last_gap != 0) {
                auto const repeated = number(in);
                if (repeated > most_repeats || repeated > (~std::uint64_t{0} - at) / (last_gap + last_length)) damaged();
                for (std::uint64_t k = 0; k != repeated; ++k, at += last_gap + last_length) s.runs_.push_back({at + last_gap, at + last_gap + last_length});
                continue;
            }
            auto const length = first & 15 ? std::uint64_t{static_cast<std::uint8_t>(first & 15)} : number(in);
            if (length == 0 || (gap == 0 && at != 0) || gap > ~std::uint64_t{0} - at || length > ~std::uint64_t{0} - at - gap) damaged();
            s.runs_.push_back({at + gap, at + gap + length});
            at += gap + length;
            last_gap = gap;
            last_length = length;
        }
        return s;
    }

    friend bool operator==(interval_set const&, interval_set const&) = default;

private:
    static constexpr std::uint64_t most_repeats = std::uint64_t{1} << 32;

    /// How many runs from number i on have this gap, which is not 0, and this length.
    std::size_t repeats(std::size_t i, std::uint64_t at, std::uint64_t gap, std::uint64_t length) const {
        auto const first = i;
        for (; gap != 0 && i != runs_.size() && i - first != most_repeats && runs_[i].begin - at == gap && runs_[i].size() == length; ++i) at = runs_[i].end;
        return i - first;
    }
    static void put_number(std::vector<std::uint8_t>& out, std::uint64_t n) {
        for (; n >= 128; n >>= 7) out.push_back(static_cast<std::uint8_t>(n | 128));
        out.push_back(static_cast<std::uint8_t>(n));
    }
    static std::uint64_t number(std::span<std::uint8_t const>& in) {
        std::uint64_t n = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (in.empty()) damaged();
            auto const byte = in.front();
            in = in.subspan(1);
            n |= std::uint64_t{byte & 127u} << shift;
            if (byte < 128) return n;
        }
        damaged();
    }
    [[noreturn]] static void damaged() { throw state_error("ledger: the bytes are no list of runs\n  HINT: the file is damaged; use an older checkpoint"); }

    std::vector<interval> runs_;  // ascending, none empty, no two of them touch
};

}  // namespace penstock
