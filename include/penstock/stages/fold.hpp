// Implements: fold(init, f), one value accumulated over all remaining items.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, value_of, value, broken_chain

#include <concepts>
#include <type_traits>
#include <utility>

namespace penstock {

/// Ends a chain: total = f(total, item) for every item of the first epoch, from `init` on. Of a keyed item f gets the value.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of f and of the stages before
///
///     range(5) | fold(0, [](auto sum, auto i) { return sum + i; })    // 10
template <class T, class F>
auto fold(T init, F f) {
    return terminal([init = std::move(init), f = std::move(f)]<class S>(pipeline<S> chain) mutable {
        constexpr bool ok = requires(F& g, T t, value_of<typename S::item_type> item) { t = static_cast<T>(g(std::move(t), std::move(item))); };  // nvcc finds no capture in a requires
        static_assert(ok, "fold(init, f): f(total, item) must take the type of init and the item type of the chain, and return the new total. HINT: give init the type of the sum");
        if constexpr (ok) {
            auto total = std::move(init);
            auto step = [&](typename S::item_type&& item) {
                total = static_cast<T>(f(std::move(total), std::move(value(item))));
                return true;
            };
            chain.for_each_while(step);
            return total;
        } else return broken_chain{};
    });
}

}  // namespace penstock
