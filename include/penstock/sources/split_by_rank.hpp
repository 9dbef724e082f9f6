// Implements: split_by_rank(world), this rank's even share of every epoch: of a plan of shards, of data in memory, or of any stream of items.
#pragma once

#include <penstock/core/positioned.hpp>     // defines: positioned, plan_stage, source, broken_chain
#include <penstock/core/world.hpp>          // defines: world, checked
#include <penstock/sources/in_memory.hpp>   // defines: in_memory, dealt_source
#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

/// Item i is rank i mod W's. What fails is an item too, on every rank, so that all ranks number the stream alike.
template <class S>
class [[nodiscard]] split_stage : public positioned<split_stage<S>, S> {
public:
    static constexpr auto name = "split_by_rank", instead = "put split_by_rank right behind the source that has the items in memory, or split the list of shards";
    using item_type = typename S::item_type;
    split_stage(S input, world w) : split_stage::positioned(std::move(input)), world_(w), before_(w.rank) {}

    std::optional<item_type> next() {
        if (!passed_over()) return std::nullopt;
        return taken([this] { return this->up.next(); });
    }
    bool discard() {
        return passed_over() && taken([this] { return penstock::discard(this->up); });
    }
    void restart() { before_ = world_.rank; }
    static void position(auto& self, auto& p) {
        p.same("rank", self.world_.rank);
        p.same("size", self.world_.size);
        p("before", self.before_, self.world_.size - 1);
    }
    size_hint hint() const {
        auto const mine = [this](std::uint64_t items) { return items <= before_ ? 0 : (items - before_ - 1) / world_.size + 1; };
        auto const h = hint_of(this->up);
        if (!h.upper) return {0, h.upper};
        auto const most = mine(*h.upper), failing = *h.upper - h.lower;  // any of which may be ours
        return {most - (std::min)(most, failing), most};
    }
    chain_facts facts() const {
        auto said = facts_of(this->up);
        auto const numbers = share_of(said.world_max.value_or(0), world_);
        said.world_min = said.world_min ? std::optional(*said.world_min / world_.size) : std::nullopt;
        if (said.world_max) said.world_max = numbers.world_max;
        said.split = numbers.split;
        said.whole = numbers.whole;
        return said;
    }
    /// What was dropped behind the last item goes to the rank whose turn it would be.
    cover trailing()
        requires dropping<S>
    {
        auto rest = this->up.trailing();
        return before_ == 0 ? rest : cover{};
    }

private:
    /// False if the stream ends before this rank's next item.
    bool passed_over() {
        for (; before_ != 0; --before_) try {
                if (!penstock::discard(this->up)) return false;
            } catch (stage_error& e) {
                --before_;
                e.positions = {};  // the rank that reads them hands them on
                throw;
            } catch (...) {
                --before_;
                throw;
            }
        return true;
    }
    template <class F>
    auto taken(F f) {
        try {
            auto got = f();
            if (got) before_ = world_.size - 1;
            return got;
        } catch (...) {
            before_ = world_.size - 1;
            throw;
        }
    }

    world world_;
    std::uint64_t before_;  // items of other ranks before this rank's next one
};

namespace detail {

/// A stream that is one rank's share already would be cut to a share of a share, and the rest lost.
inline void refuse_second_split(chain_facts const& said, world w) {
    if (auto const& was = said.split)
        throw config_error(message("split_by_rank: the stages before it are split already for rank ", was->rank, " of ", was->size, ", got rank ", w.rank, " of ", w.size,
                                   "\n  HINT: split once; of a share of a share the rest would be lost"));
}
}  // namespace detail

/// Gives this rank its share of every epoch: every sample goes to exactly one rank, and no rank gets more than one sample more than another.
/// Over a list of shards rank r of W gets samples [rT/W, (r+1)T/W) of T, shards being cut where needed; the order of shuffle_shards() and this is free.
/// Right behind a source in memory (range, permuted, from_vector, from_range over random access, read_idx) it gets items r, r + W, r + 2W, ..., as keyed<T>: an item
/// is then a sample like one of a shard, with an id (its number in the data), the same text as its key, the epoch as its pass, and its position, so an epoch can be finished
/// in another world. Over any other stream, which every rank reads, it gets items r, r + W, r + 2W, ... as they are; the others are passed over, unmade where possible.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; of shards and of data in memory also in another world, by the ledger; of a stream one integer is saved, and the world must be that of the save
/// Threads  none
/// Errors   config_error if rank >= world, or if what is before it is split already; of data in memory stage_error for an item that cannot be copied, and for a
///          range that is no longer as long as it was; over a stream forwards those of the stages before, also when they pass over an item of another rank
///
///     shard_list("a.tar") | split_by_rank({.rank = 1, .size = 4})    // the second quarter of each epoch
inline auto split_by_rank(world w) {
    checked(w, "split_by_rank");
    return plan_stage("split_by_rank", [w]<class P>(P before) {
        constexpr bool ok = std::is_same_v<P, shard_plan> || source<P>;
        static_assert(ok, "split_by_rank(world) splits a list of shards or a stream of items, and what stands before it is neither. HINT: start from shard_list(...) or a source");
        if constexpr (!ok) return broken_chain{};
        else if constexpr (in_memory<P>) return dealt_source<P>(std::move(before), w);
        else if constexpr (source<P>) {
            detail::refuse_second_split(facts_of(before), w);
            return split_stage<P>(std::move(before), w);
        } else return before.with_world(w);
    });
}

}  // namespace penstock
