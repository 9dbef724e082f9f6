// Implements: world_min(source), the fewest items any rank yields, asked through the stages that neither drop nor add items.
#pragma once

#include <penstock/core/stage.hpp>  // defines: source, stage_over, planned

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace penstock {

/// Tells the fewest items that any rank yields in this epoch: the same on every rank, fixed by reset.
template <class S>
concept planned_below = requires(S const& s) { { s.world_min() } -> std::same_as<std::optional<std::uint64_t>>; };

namespace detail {

/// Whether S is a stage whose world_max is that of the stage before it: then so is its world_min.
template <class S>
concept keeps_count = planned<S> && requires(S const& s) {
    s.up;
    requires std::is_same_v<decltype(&S::world_max), std::optional<std::uint64_t> (stage_over<std::remove_cvref_t<decltype(s.up)>>::*)() const>;
};

}  // namespace detail

/// Nothing where nobody knows. A stage that changes the number of items and says nothing of its own ends the search.
template <class S>
std::optional<std::uint64_t> world_min(S const& s) {
    if constexpr (planned_below<S>) return s.world_min();
    else if constexpr (detail::keeps_count<S>) return penstock::world_min(s.up);
    else return std::nullopt;
}

}  // namespace penstock
