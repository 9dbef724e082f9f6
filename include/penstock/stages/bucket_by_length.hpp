// Implements: bucket_by_length(length, options), batches of items of like length.
#pragma once

#include <penstock/core/ask.hpp>      // defines: asks::returns_number
#include <penstock/core/gather.hpp>   // defines: gather, costed_stage, without_cost, oversize
#include <penstock/core/holding.hpp>  // defines: holding, tally, stage, broken_chain, config_error

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

struct bucket_options {
    /// Bucket b takes lengths up to boundaries[b], and more than those of the bucket before; one more bucket takes all longer ones. Ascending.
    std::vector<std::uint64_t> boundaries = {};
    /// Items per batch of each bucket, one number more than boundaries; or
    std::vector<std::uint64_t> sizes = {};
    /// what a batch may hold once its items are padded to the longest: items * longest length; 0: sizes says it.
    std::uint64_t budget = 0;
    /// An item leaves before so many more have arrived behind it, if need be in a short batch.
    std::uint64_t max_wait = 10'000;
    /// What becomes of an item that is longer than the budget.
    penstock::oversize oversize = penstock::oversize::refuse;
};

/// S yields costed items, the cost being the length. A bucket is emptied whole, so it holds its items of pulls >= its `first`.
template <class S>
class [[nodiscard]] bucket_stage : public holding<bucket_stage<S>, S> {
    using input = typename S::item_type;
    using element = decltype(std::declval<value_of<input>&>().value);

public:
    static constexpr auto name = "bucket_by_length";
    using item_type = batch_of<element>;
    bucket_stage(S before, bucket_options o)
        : bucket_stage::holding(std::move(before), name, (std::max)(std::uint64_t{16}, o.max_wait / 4)), options_(std::move(o)), buckets_(options_.boundaries.size() + 1) {}

    std::optional<item_type> next() {
        while (true) {
            if (auto* const due = oldest(); due && (this->replay_.ended() || arrived_ - due->arrival > options_.max_wait)) return empty_out(*due, this->replay_.pulls());
            if (this->replay_.ended()) return std::nullopt;
            auto item = this->replay_.pull(this->up);
            if (!item) continue;
            auto const here = this->replay_.pulls() - 1;
            note(here, *item);
            auto& b = bucket_of(value(*item).cost);
            if (!fits(b, value(*item).cost)) {
                auto out = empty_out(b, here);
                put(b, here, std::move(*item));
                return out;
            }
            put(b, here, std::move(*item));
            if (full(b)) return empty_out(b, this->replay_.pulls());
        }
    }
    size_hint hint() const {
        return {held_ == 0 ? 0u : 1u, hint_of(this->up).plus(held_).upper};
    }
    chain_facts facts() const { return facts_of(this->up).uncounted(); }
    tally held() const { return since_oldest_; }
    void clear() {
        for (auto& b : buckets_) b = bucket{};
        marks_.clear();
        since_oldest_ = {};
        held_ = oldest_ = arrived_ = 0;
    }
    static void position(auto& self, auto& p) {
        p.same("options", self.fingerprint(), "boundaries, sizes, budget or max_wait");
        p("oldest", self.oldest_);
        p.now("before_oldest", self.arrived_ - self.since_oldest_.count, self.arrived_);
        for (std::size_t b = 0; b != self.buckets_.size(); ++b) p("first" + std::to_string(b), self.buckets_[b].first);
    }
    void loaded() {
        std::vector<std::uint64_t> firsts;
        for (auto const& b : buckets_) firsts.push_back(b.first);
        this->replay_.repeat(this->up, [this](std::uint64_t i) { return i >= oldest_; }, [&](std::uint64_t i, input&& item) {
            note(i, item);
            auto& b = bucket_of(value(item).cost);
            if (i >= firsts[static_cast<std::size_t>(&b - buckets_.data())]) put(b, i, std::move(item));
        });
        for (std::size_t b = 0; b != buckets_.size(); ++b) buckets_[b].first = firsts[b];
        this->replay_.release(oldest_);
    }
    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        r.push_back({.name = "bucket_by_length", .held = held_});
    }

private:
    struct bucket {
        item_type items{};
        std::uint64_t first = 0;    // number of the pull of its oldest item; of an empty one, of the first pull that it may hold
        std::uint64_t arrival = 0;  // which item of the epoch its oldest is: failed pulls make nobody wait longer
        std::uint64_t longest = 0;
    };
    struct mark {
        std::uint64_t pull, hash;
    };

    bucket& bucket_of(std::uint64_t length) {
        auto const& all = options_.boundaries;
        return buckets_[static_cast<std::size_t>(std::lower_bound(all.begin(), all.end(), length) - all.begin())];
    }
    std::uint64_t room(bucket const& b, std::uint64_t longest) const {  // items that a batch of that length may hold
        if (options_.budget == 0) return options_.sizes[static_cast<std::size_t>(&b - buckets_.data())];
        return (std::max)(options_.budget / (std::max)(longest, std::uint64_t{1}), std::uint64_t{1});
    }
    bool fits(bucket const& b, std::uint64_t length) const { return b.items.empty() || b.items.size() < room(b, (std::max)(b.longest, length)); }
    bool full(bucket const& b) const { return b.items.size() >= room(b, b.longest); }
    bucket* oldest() {
        bucket* found = nullptr;
        if (held_ != 0)
            for (auto& b : buckets_)
                if (!b.items.empty() && (!found || b.first < found->first)) found = &b;
        return found;
    }
    void put(bucket& b, std::uint64_t number, input&& item) {
        if (b.items.empty()) {
            b.first = number;
            b.arrival = arrived_ - 1;
        }
        b.longest = (std::max)(b.longest, value(item).cost);
        detail::gather(b.items, detail::without_cost(std::move(item)));
        ++held_;
    }
    /// `from`: the first pull whose item the bucket may hold afterwards.
    item_type empty_out(bucket& b, std::uint64_t from) {
        auto out = std::exchange(b.items, {});
        held_ -= out.size();
        b.longest = 0;
        b.first = from;
        auto const* const next = oldest();
        forget_before(next ? (std::min)(next->first, from) : from);
        if (this->replay_.ended() && held_ == 0) out.cover.add(this->replay_.trailing(this->up));  // not earlier: what is pulled again would give it again
        return out;
    }
    /// Items are found again by pulling all since the oldest held one, so all of them are compared with what was pulled the first time.
    void note(std::uint64_t number, input const& item) {
        tally one;
        one.add(item);
        ++arrived_;
        marks_.push_back({number, one.hash});
        ++since_oldest_.count;
        since_oldest_.hash += one.hash;
    }
    void forget_before(std::uint64_t pull) {
        for (oldest_ = pull; !marks_.empty() && marks_.front().pull < pull; marks_.pop_front()) {
            --since_oldest_.count;
            since_oldest_.hash -= marks_.front().hash;
        }
        this->replay_.release(pull);
    }
    std::uint64_t fingerprint() const {
        auto h = mix64(options_.budget) ^ options_.max_wait;
        for (auto const& list : {options_.boundaries, options_.sizes})
            for (auto const n : list) h = mix64(h ^ n);
        return mix64(h ^ static_cast<std::uint64_t>(options_.oversize));
    }

    bucket_options options_;
    std::vector<bucket> buckets_;
    std::deque<mark> marks_;  // of the items since oldest_: at most max_wait + 1
    tally since_oldest_;
    std::uint64_t held_ = 0;
    std::uint64_t oldest_ = 0;   // no item of a pull before it is held
    std::uint64_t arrived_ = 0;  // items of this epoch so far
};

/// Sorts items into buckets by length(item), a whole number, and yields a bucket as a batch once it is full: after sizes[bucket] items, or when one more would
/// exceed the budget after padding. Of a keyed item length sees the value. An item behind which max_wait others have arrived takes its bucket along as it is; so does the end.
///
/// Order    permuted by the lengths alone; inside a bucket unchanged, and an item leaves at most max_wait items late
/// Buffers  at most max_wait + 1 items, over all buckets
/// Resume   exact; replay of at most max_wait + max(16, max_wait / 4) items, of which those since the oldest held one are made; length must not depend on
///          earlier calls. How many batches come is not known before, so world_max ends here
/// Threads  none; length runs on the thread that pulls
/// Errors   forwards those of length and of the stages before; stage_error for an item longer than the budget, unless {.oversize = oversize::alone};
///          config_error for options that do not fit together
///
///     from_vector({1, 9, 2, 8, 3}) | bucket_by_length([](int i) { return i; }, {.boundaries = {5}, .sizes = {2, 2}})    // [1 2] [9 8] [3]
template <class Length>
auto bucket_by_length(Length length, bucket_options options) {
    auto const refuse = [](auto const&... parts) { throw config_error(message("bucket_by_length: ", parts...)); };
    if (std::adjacent_find(options.boundaries.begin(), options.boundaries.end(), [](auto a, auto b) { return a >= b; }) != options.boundaries.end())
        refuse("boundaries must ascend, got ", *std::adjacent_find(options.boundaries.begin(), options.boundaries.end(), [](auto a, auto b) { return a >= b; }), " before one that is no larger\n  HINT: such as {16, 32, 64}");
    if (options.boundaries.size() > 100) refuse("at most 100 boundaries, got ", options.boundaries.size(), "\n  HINT: each is a number in the state; a few suffice");
    if (options.sizes.empty() == (options.budget == 0)) refuse("either sizes or budget must say how large a batch is, got ", options.sizes.empty() ? "neither" : "both", "\n  HINT: .budget = items * longest length");
    if (!options.sizes.empty() && options.sizes.size() != options.boundaries.size() + 1)
        refuse("sizes must hold one number more than boundaries (", options.boundaries.size() + 1, "), got ", options.sizes.size(), "\n  HINT: the last one is for items longer than the last boundary");
    if (std::find(options.sizes.begin(), options.sizes.end(), 0u) != options.sizes.end()) refuse("sizes must be >= 1, got 0\n  HINT: a bucket of size 1 passes its items on");
    if (options.max_wait == 0) refuse("max_wait must be >= 1, got 0\n  HINT: batch(1) yields each item at once");
    return stage("bucket_by_length", [options = std::move(options), length = std::move(length)]<class S>(S input) mutable {
        if constexpr (!asks::returns_number<"bucket_by_length", typename S::item_type const, Length>()) return broken_chain{};
        else {
            using inner = detail::costed_stage<S, Length>;
            auto const limit = options.budget != 0 && options.oversize == oversize::refuse ? options.budget : (std::numeric_limits<std::uint64_t>::max)();
            return bucket_stage<inner>(inner("bucket_by_length", std::move(input), std::move(length), limit), options);
        }
    });
}

}  // namespace penstock
