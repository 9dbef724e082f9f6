// Implements: map_keyed(f), map for functions that look at the identity of an item.
#pragma once

#include <penstock/core/ask.hpp>    // defines: asks::returns
#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/stage.hpp>  // defines: stage, is_keyed, broken_chain
#include <penstock/stages/map.hpp>  // defines: map_stage

#include <utility>

namespace penstock {

namespace detail {
template <class F>
struct over_item {
    F f;
    template <class Item>
    auto operator()(Item& item) {
        auto result = blame("map_keyed", item, [&]() -> decltype(auto) { return f(std::as_const(item)); });
        if constexpr (is_keyed<decltype(result)>) return result;
        else return std::move(item).with(std::move(result));
    }
};
}  // namespace detail

/// Replaces every keyed item by f(item), f getting the whole item: id, pass, cover, key, weight and value.
/// A result that is keyed is taken as it is (to change a weight, say); any other becomes the value under the same identity.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state; f must not depend on earlier calls
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     std::move(photos) | map_keyed([](auto const& s) { return s.key + "!"; })    // a! b!
template <class F>
auto map_keyed(F f) {
    return stage("map_keyed", [f = std::move(f)]<class S>(S input) mutable {
        constexpr bool identified = is_keyed<typename S::item_type>;
        static_assert(identified, "map_keyed(f): the items before it carry no identity. HINT: use map(f), or read the items from shards");
        if constexpr (!identified) return broken_chain{};
        else if constexpr (!asks::returns<"map_keyed", typename S::item_type const&, F>()) return broken_chain{};
        else return map_stage<S, detail::over_item<F>>(std::move(input), {std::move(f)});
    });
}

}  // namespace penstock
