// Implements: shuffle_shards(), another order of the shards in every pass.
#pragma once

#include <penstock/core/stage.hpp>          // defines: stage, broken_chain
#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan

#include <type_traits>

namespace penstock {

/// Permutes the shards anew in every pass. Acts on the plan: before or after split_by_rank makes no difference, all ranks share one order.
///
/// Order    the shards by (seed, pass) alone; inside a shard unchanged
/// Buffers  12 bytes per shard
/// Resume   exact, nothing to save
/// Threads  none
/// Errors   none
///
///     shard_list("train-{000..002}.tar") | shuffle_shards()    // still 3 shards
inline auto shuffle_shards() {
    return plan_stage("shuffle_shards", []<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "shuffle_shards() permutes a list of shards, but what stands before it yields items. HINT: put it between shard_list(...) and the reader; to mix items use shuffle(n)");
        if constexpr (ok) return plan.with_shuffled();
        else return broken_chain{};
    });
}

}  // namespace penstock
