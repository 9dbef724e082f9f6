// Implements: last(), the item after which no more come.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline

#include <optional>
#include <utility>

namespace penstock {

/// Ends a chain: std::optional of the last item of the first epoch, keyed items as they are; empty if there is none. All items are made.
///
/// Order    unchanged
/// Buffers  one item
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of the stages before
///
///     range(6) | filter([](auto i) { return i < 3; }) | last()    // 2
inline auto last() {
    return terminal([]<class S>(pipeline<S> chain) {
        std::optional<typename S::item_type> latest;
        auto keep = [&](typename S::item_type&& item) {
            latest.emplace(std::move(item));
            return true;
        };
        chain.for_each_while(keep);
        return latest;
    });
}

}  // namespace penstock
