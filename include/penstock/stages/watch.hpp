// Implements: watch(name), from here on every stage counts and times its items, for stats() and describe().
#pragma once

#include <penstock/core/stage.hpp>  // defines: stage, with_probe

#include <utility>

namespace penstock {

/// Puts a clock around the stage before it, under `name` (a literal), and around every stage after it. Chains over shards have them already;
/// over items in memory they would cost as much as the stages themselves, so there one asks for them.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state
/// Threads  none
/// Errors   none of its own
///
///     range(3) | watch("numbers") | map([](auto i) { return i * i; })    // 0 1 4
inline auto watch(char const* name = "source") {
    return stage("watch", [name]<class S>(S input) { return detail::with_probe(name, std::move(input)); });
}

}  // namespace penstock
