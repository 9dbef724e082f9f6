// Implements: for_each(f), f called with every remaining item.
#pragma once

#include <penstock/core/ask.hpp>    // defines: asks::takes
#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, value_of, value, broken_chain

#include <utility>

namespace penstock {

/// Ends a chain: calls f(item) for every item of the first epoch. Of a keyed item f gets the value; a loop over the pipeline sees the whole.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of f and of the stages before
///
///     range(3) | for_each([](auto i) { std::cout << i; });    // prints 012
template <class F>
auto for_each(F f) {
    return terminal([f = std::move(f)]<class S>(pipeline<S> chain) mutable {
        if constexpr (!asks::takes<"for_each", typename S::item_type, F>()) return broken_chain{};
        else {
            auto call = [&](typename S::item_type&& item) {
                f(std::move(value(item)));
                return true;
            };
            chain.for_each_while(call);
        }
    });
}

}  // namespace penstock
