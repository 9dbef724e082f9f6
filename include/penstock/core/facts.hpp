// Implements: chain_facts, what a chain says of its epochs, and facts_of(source), which asks it.
#pragma once

#include <penstock/core/keyed.hpp>  // defines: is_keyed
#include <penstock/core/world.hpp>  // defines: world

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

namespace detail {

/// Of two numbers of items, unless the sum is none: batches are dealt out by it, so it must not come out small.
inline std::optional<std::uint64_t> sum_of(std::uint64_t a, std::uint64_t b) { return a <= ~b ? std::optional(a + b) : std::nullopt; }

}  // namespace detail

/// What a source states of its epochs and every stage after it edits in one place, `facts()`. Apart from `split` the same on every rank, and
/// fixed by reset: next() changes none of it. A fact added here passes all stages, threads and erasures by itself.
struct chain_facts {
    std::optional<std::uint64_t> world_max{};  ///< most items any rank yields in this epoch; empty: nobody knows
    std::optional<std::uint64_t> world_min{};  ///< fewest items any rank yields in it
    bool counted = false;           ///< world_max is known, or will be once the data is opened
    bool same_every_epoch = true;   ///< world_max is the same in every epoch
    bool goes_on = false;           ///< reset(e + 1) goes on where the consumer left off in e: whoever reads ahead must place it there before
    bool identified = false;        ///< items that know which sample they are flow here or flowed before: such a stream is one rank's part of a whole
    std::optional<world> split{};   ///< the ranks that a source of it is divided among
    bool whole = false;             ///< every rank has all of a source of it; where neither is stated, a source of the user's own keeps its parts to itself
    bool unordered = false;         ///< items come in another order in every run, also when they are pulled again after a load

    /// Each number n of items by f(n), as a stage does that makes f(n) items of n; f must not fall where n rises.
    template <class F>
    chain_facts&& recounted(F f) && {
        if (world_max) world_max = f(*world_max);
        if (world_min) world_min = f(*world_min);
        return std::move(*this);
    }
    /// Without numbers, behind a stage that makes nobody knows how many items.
    chain_facts&& uncounted() && {
        world_max = world_min = std::nullopt;
        counted = false;
        return std::move(*this);
    }
    /// Behind a stage that may end before what stands before it has: vacant turns and errors decide where a source that goes on is left, so that every
    /// rank begins its next epoch elsewhere.
    chain_facts&& cut_short() && { return goes_on ? std::move(*this).uncounted() : std::move(*this); }
    /// Where some items of any rank may be missing, up to all.
    chain_facts&& at_most() && {
        world_min.reset();
        return std::move(*this);
    }
    /// Of two sources that a stage takes its items from, with both(n, m) items where they have n and m; both may return nothing where nobody knows.
    template <class F>
    chain_facts&& joined(chain_facts const& other, F both) && {
        auto const number = [&](auto& mine, auto const& theirs) { mine = mine && theirs ? std::optional(both(*mine, *theirs)) : std::nullopt; };
        number(world_max, other.world_max);
        number(world_min, other.world_min);
        counted = counted && other.counted;
        same_every_epoch = same_every_epoch && other.same_every_epoch;
        goes_on = goes_on || other.goes_on;
        identified = identified || other.identified;
        whole = whole || other.whole;
        unordered = unordered || other.unordered;
        if (!split) split = other.split;
        return std::move(*this);
    }

    friend bool operator==(chain_facts const&, chain_facts const&) = default;
};

/// For a source that yields `n` items on every rank in every epoch, all of them.
inline chain_facts whole_of(std::uint64_t n) { return {.world_max = n, .world_min = n, .counted = true, .whole = true}; }
/// For a source that deals out `all` items as evenly as they go, the first ranks getting one more.
inline chain_facts share_of(std::uint64_t all, world w) {
    chain_facts said{.world_max = all / w.size + (all % w.size != 0), .world_min = all / w.size, .counted = true};
    if (w.size != 1) said.split = w;
    said.whole = !said.split;
    return said;
}

/// States facts itself.
template <class S>
concept stating = requires(S const& s) { { s.facts() } -> std::same_as<chain_facts>; };

/// What s states; of a stage that states nothing, what stands before it does, but for numbers, which such a stage may change.
template <class S>
chain_facts facts_of(S const& s) {
    auto said = [&] {
        if constexpr (stating<S>) return s.facts();
        else if constexpr (requires { typename decltype(s.up)::item_type; }) return facts_of(s.up).uncounted();
        else return chain_facts{};
    }();
    said.identified = said.identified || is_keyed<typename S::item_type>;
    return said;
}

}  // namespace penstock
