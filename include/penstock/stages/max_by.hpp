// Implements: max_by(f), the item with the largest f(item).
#pragma once

#include <penstock/core/ask.hpp>      // defines: asks::returns_key
#include <penstock/core/extreme.hpp>  // defines: extreme, key_of
#include <penstock/core/stage.hpp>    // defines: terminal, pipeline, broken_chain

#include <utility>

namespace penstock {

/// Ends a chain: std::optional of the item of the first epoch with the largest key f(item), keyed items as they are; empty if there is none.
/// f is called once per item, of a keyed item with the value; keys are compared by <. Of equal ones the last counts, as Rust's max_by_key has it.
///
/// Order    unchanged
/// Buffers  one item
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of f and of the stages before; keys without an order, as NaN, give any item
///
///     from_vector({3, -1, 1}) | max_by([](int i) { return -i * i; })    // 1
template <class F>
auto max_by(F f) {
    return terminal([f = std::move(f)]<class S>(pipeline<S> chain) mutable {
        if constexpr (!asks::returns_key<"max_by", typename S::item_type const, F>()) return broken_chain{};
        else return detail::extreme("max_by", chain, f, [](auto const& key, auto const& best) { return !(key < best); });
    });
}

}  // namespace penstock
