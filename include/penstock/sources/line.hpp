// Implements: line, the endless line of samples behind a plan, and cut, a rank's even share of a part of it.
#pragma once

#include <penstock/core/cover.hpp>          // defines: interval
#include <penstock/core/random.hpp>         // defines: random_stream, child_key
#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace penstock {

/// floor(a * b / c) for a <= c, without overflow.
inline std::uint64_t share_of(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    __extension__ using wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<wide>(a) * b / c);
}

inline std::uint64_t total(std::span<interval const> segments) {
    return std::accumulate(segments.begin(), segments.end(), std::uint64_t{0}, [](std::uint64_t n, interval i) { return n + i.size(); });
}

/// Rank r's share [rT/W, (r+1)T/W) of `segments`, T positions in all. The shares of all ranks are disjoint, make up the whole,
/// and the largest is ceil(T/W). Cutting what is left of a share again, for another world, keeps positions as they are.
inline std::vector<interval> cut(std::span<interval const> segments, world w) {
    auto const all = total(segments);
    auto const begin = share_of(w.rank, all, w.size), end = share_of(std::uint64_t{w.rank} + 1, all, w.size);
    std::vector<interval> mine;
    std::uint64_t before = 0;  // positions in the segments before this one
    for (auto const s : segments) {
        auto const from = (std::max)(begin, before), to = (std::min)(end, before + s.size());
        if (from < to) mine.push_back({s.begin + (from - before), s.begin + (to - before)});
        before += s.size();
    }
    return mine;
}

/// Consecutive samples of one shard that are consecutive on the line.
struct line_run {
    std::uint64_t pass = 0;
    std::size_t shard = 0;      ///< number in list order
    std::uint64_t sample = 0;   ///< first one, as a number among the samples of the shard that the plan reads: all, or those of a part
    std::uint64_t length = 0;   ///< such samples up to the end of the shard
};

/// The line: pass 0, pass 1, ..., each the shards of a counted plan in the order of that pass. position = pass * samples + slot.
/// The order of a pass depends on (key, pass) alone: Fisher-Yates over the list order, drawing from Philox.
class line {
public:
    explicit line(shard_plan plan) : plan_(std::move(plan)), starts_(plan_.slots()) {}

    shard_plan const& plan() const { return plan_; }

    /// The positions of epoch `index`, over all ranks.
    interval window(std::uint64_t index) const {
        auto const n = plan_.epoch_samples();
        return {index * n, (index + 1) * n};
    }

    /// Where position `at` lies. Costs a search; the first call of a pass also lays out the pass (about 30 ns per shard).
    line_run find(std::uint64_t key, std::uint64_t at) {
        auto const pass = at / plan_.samples(), slot = at % plan_.samples();
        lay_out(key, pass);
        // the last shard that starts at or before the slot: shards without samples are never it
        auto const k = static_cast<std::size_t>(std::upper_bound(starts_->begin(), starts_->end(), slot) - starts_->begin()) - 1;
        return {pass, order_.empty() ? k : order_[k], slot - (*starts_)[k], (*starts_)[k + 1] - slot};
    }

private:
    void lay_out(std::uint64_t key, std::uint64_t pass) {
        if (!plan_.shuffled() || (laid_out_ && laid_out_->first == key && laid_out_->second == pass)) return;
        laid_out_.reset();
        order_.resize(plan_.shards());
        std::iota(order_.begin(), order_.end(), 0u);
        random_stream draw(child_key(key, "shuffle_shards"), pass, 0);
        for (auto left = static_cast<std::uint32_t>(order_.size()); left > 1; --left) std::swap(order_[left - 1], order_[draw.below(left)]);
        auto starts = std::make_shared<std::vector<std::uint64_t>>(order_.size() + 1);
        for (std::size_t k = 0; k != order_.size(); ++k) (*starts)[k + 1] = (*starts)[k] + plan_.chosen(order_[k]);
        starts_ = std::move(starts);
        laid_out_.emplace(key, pass);
    }

    shard_plan plan_;
    std::vector<std::uint32_t> order_;                             // shards in the order of the pass; empty: list order
    std::shared_ptr<std::vector<std::uint64_t> const> starts_;     // slot at which the k-th shard of the pass starts, and the end
    std::optional<std::pair<std::uint64_t, std::uint64_t>> laid_out_;  // key and pass of order_
};

}  // namespace penstock
