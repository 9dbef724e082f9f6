// Implements: what min_by and max_by share: the item whose key no other one beats, each key made once.
#pragma once

#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/stage.hpp>  // defines: pipeline, value_of, value

#include <optional>
#include <type_traits>
#include <utility>

namespace penstock::detail {

/// The item that `beats(key, key of the best so far)` every one before it.
template <class S, class F, class Beats>
std::optional<typename S::item_type> extreme(char const* name, pipeline<S>& chain, F& f, Beats beats) {
    using item_type = typename S::item_type;
    std::optional<item_type> best;
    std::optional<std::decay_t<decltype(f(std::declval<penstock::value_of<item_type> const&>()))>> best_key;
    auto look = [&](item_type&& item) {
        auto key = blame(name, item, [&] { return f(std::as_const(value(item))); });
        if (!best_key || beats(std::as_const(key), std::as_const(*best_key))) {
            best_key.emplace(std::move(key));
            best.emplace(std::move(item));
        }
        return true;
    };
    chain.for_each_while(look);
    return best;
}

}  // namespace penstock::detail
