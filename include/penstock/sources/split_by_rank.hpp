// Implements: split_by_rank(world), this rank's even share of every epoch.
#pragma once

#include <penstock/core/stage.hpp>          // defines: stage, broken_chain
#include <penstock/core/world.hpp>          // defines: world, checked
#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan

#include <type_traits>

namespace penstock {

/// Gives this rank samples [rT/W, (r+1)T/W) of the T samples of an epoch, cutting shards where needed: every sample goes to exactly one
/// rank, and no rank gets more than one sample more than another. Acts on the plan, so the order of shuffle_shards() and this is free.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; the reader saves which rank it was
/// Threads  none
/// Errors   config_error if rank >= world, or if the plan is split for another rank already
///
///     shard_list("a.tar") | split_by_rank({.rank = 1, .size = 4})    // the second quarter of each epoch
inline auto split_by_rank(world w) {
    checked(w, "split_by_rank");
    return plan_stage("split_by_rank", [w]<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "split_by_rank(world) splits a list of shards, but what stands before it yields items. HINT: put it between shard_list(...) and the reader");
        if constexpr (ok) return plan.with_world(w);
        else return broken_chain{};
    });
}

}  // namespace penstock
