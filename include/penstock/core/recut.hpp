// Implements: what reset(e) says where an epoch begun by other ranks is to be finished: who looked at the ledger, and who refuses it.
#pragma once

#include <penstock/core/epoch.hpp>   // defines: epoch
#include <penstock/core/errors.hpp>  // defines: state_error, message

#include <cstdint>
#include <string_view>
#include <utility>

namespace penstock {

/// Calls reset(epoch with claims of its own) and throws unless a source below it looked at the ledger: any other would deliver everything again.
template <class Reset>
void reset_with_ledger(epoch e, std::string_view who, Reset reset) {
    std::uint32_t claims = 0;
    auto* const outer = std::exchange(e.claims, &claims);
    reset(e);
    if (claims == 0)
        throw state_error(message("resume in another world: ", who, " does not know which items were delivered"
                                  "\n  HINT: read from shards (shard_list ... read_tar), put split_by_rank right behind data in memory, or resume with the number of ranks that saved the state"));
    if (outer) *outer += claims;
}

/// For reset(e) of a stage that cannot go on from what others used; `why` follows its name.
inline void refuse_recut(epoch const& e, std::string_view stage, std::string_view instead, std::string_view why = "counts the items of each rank, and the ranks are others now") {
    if (e.used)
        throw state_error(message("resume in another world: ", stage, ' ', why, "\n  HINT: ", instead, ", or resume with the number of ranks that saved the state"));
}
/// The same for a fan-in: only batches carry the name of their source, without which nobody knows whose positions they hold.
template <class Item>
void refuse_unnamed_recut(epoch const& e, std::string_view stage) {
    if constexpr (!requires(Item const& i) { std::string_view(i.source); })
        refuse_recut(e, stage, "batch each source before it is mixed", "mixes single items, which do not carry the name of their source");
}

}  // namespace penstock
