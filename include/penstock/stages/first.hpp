// Implements: first(), the next item alone.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline

namespace penstock {

/// Ends a chain: std::optional of its first item, keyed items as they are; empty if there is none. Nothing more is pulled.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   does not apply
/// Threads  none
/// Errors   forwards those of the stages before
///
///     range(6) | filter([](auto i) { return i > 2; }) | first()    // 3
inline auto first() {
    return terminal([]<class S>(pipeline<S> chain) { return chain.next(); });
}

}  // namespace penstock
