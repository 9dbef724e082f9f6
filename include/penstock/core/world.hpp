// Implements: world, the place of this process among the ranks that share one epoch.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <cstdint>

namespace penstock {

/// Rank `rank` of `size`; ranks count from 0. Alone: {0, 1}.
struct world {
    std::uint32_t rank = 0;
    std::uint32_t size = 1;

    friend bool operator==(world const&, world const&) = default;
};

/// Returns `w` when it is possible; `who` is the call to name in the config_error.
inline world checked(world w, char const* who) {
    if (w.size == 0) throw config_error(message(who, ": world size must be >= 1, got 0\n  HINT: a single process is world{0, 1}"));
    if (w.rank >= w.size)
        throw config_error(message(who, ": rank must be < world, got rank ", w.rank, ", world ", w.size,
                                   "\n  HINT: ranks count from 0; pass ctx.world()"));
    return w;
}

}  // namespace penstock
