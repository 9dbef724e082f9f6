// Implements: count(), the number of remaining items.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, write_back

#include <cstdint>

namespace penstock {

/// Ends a chain: the number of items of the first epoch, all of which are made.
///
/// Order    does not matter
/// Buffers  nothing
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of the stages before
///
///     range(6) | filter([](auto i) { return i % 2 == 0; }) | count()    // 3
inline auto count() {
    return terminal([]<class S>(pipeline<S> chain) {
        std::uint64_t n = 0;
        auto tick = [&](typename S::item_type&&) { return ++n, true; };
        chain.for_each_while(tick);
        return n;
    });
}

}  // namespace penstock
