// Implements: stage_stats, what a stage tells about its own work; collected along a chain, the source first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Counters of one stage since it was built. Times in nanoseconds, summed over its threads; taken per batch or chunk, never per element.
struct stage_stats {
    std::string name;
    std::string note{};             ///< what else there is to say, e.g. the last failures; lines, or empty
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    std::uint64_t errors = 0;       ///< failures it threw or skipped
    std::uint64_t left_out = 0;     ///< items that are missing for good, since the caller allowed it
    std::uint64_t left_out_parts = 0;  ///< parts of its input that no item got, since the caller allowed it: links, files that are no field
    std::uint64_t busy_ns = 0;      ///< working
    std::uint64_t wait_in_ns = 0;   ///< waiting for the stage before it
    std::uint64_t wait_out_ns = 0;  ///< waiting for the stage after it to take what is ready
    std::uint64_t held = 0;         ///< items it holds now
    std::uint64_t total_ns = 0;     ///< estimate: the time in its next(), with the stages before it
    std::uint64_t age_ns = 0;       ///< since its first item was asked for
    std::uint32_t inputs = 1;       ///< stages directly before it: their entries, and those before them, come before its own
    bool threads = false;           ///< it works on threads of its own; total_ns is then the time somebody waited for it
    bool probed = false;            ///< items, total_ns and age_ns were taken by a probe
};

/// What stats(report) of a chain fills; a stage without counters adds nothing.
using stats_report = std::vector<stage_stats>;

/// Tells about itself and the stages before it.
template <class S>
concept watched = requires(S const& s, stats_report& r) { s.stats(r); };

template <class S>
void collect_stats(S const& s, stats_report& r) {
    if constexpr (watched<S>) s.stats(r);
}

}  // namespace penstock
