// Implements: fold(init, f), one value accumulated over all remaining items.
#pragma once

#include <penstock/core/ask.hpp>    // defines: asks::returns_total
#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, value_of, value, broken_chain

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
        if constexpr (!asks::returns_total<"fold", typename S::item_type, F, T>()) return broken_chain{};
        else {
            auto total = std::move(init);
            auto step = [&](typename S::item_type&& item) {
                total = static_cast<T>(f(std::move(total), std::move(value(item))));
                return true;
            };
            chain.for_each_while(step);
            return total;
        }
    });
}

}  // namespace penstock
