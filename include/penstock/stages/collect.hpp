// Implements: collect(), all remaining items in a vector.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, hinted

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace penstock {

/// Ends a chain: a std::vector of the items of the first epoch, keyed items as they are.
///
/// Order    unchanged
/// Buffers  everything
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of the stages before; the items so far are lost
///
///     range(3) | collect()    // 0 1 2
inline auto collect() {
    return terminal([]<class S>(pipeline<S> chain) {
        std::vector<typename S::item_type> all;
        all.reserve(static_cast<std::size_t>((std::min)(chain.hint().lower, std::uint64_t{1} << 20)));
        auto keep = [&](typename S::item_type&& item) {
            all.push_back(std::move(item));
            return true;
        };
        chain.for_each_while(keep);
        return all;
    });
}

}  // namespace penstock
