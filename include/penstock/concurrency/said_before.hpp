// Implements: detail::said_before<S>, what a source told of itself before it was handed to another thread.
#pragma once

#include <penstock/core/epoch_traits.hpp>  // defines: same_every_epoch, goes_on, identifies
#include <penstock/core/source.hpp>        // defines: hinted, planned, size_hint
#include <penstock/core/world_bounds.hpp>  // defines: world_min

#include <cstdint>
#include <optional>

namespace penstock::detail {

/// The first three hold as long as S lives, the others for an epoch: hear() asks for them.
template <class S>
struct said_before {
    explicit said_before(S const& up) : same_every_epoch(penstock::same_every_epoch(up)), goes_on(penstock::goes_on(up)), identifies(detail::identifies(up)) {}
    void hear(S const& up) {
        if constexpr (hinted<S>) hint = up.hint();
        if constexpr (planned<S>) world_max = up.world_max(), world_min = penstock::world_min(up);
    }

    bool const same_every_epoch, goes_on, identifies;
    size_hint hint{};
    std::optional<std::uint64_t> world_max{}, world_min{};
};

}  // namespace penstock::detail
