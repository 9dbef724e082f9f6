// Implements: monotonic_ns(), the clock of the figures, and moving_average of what it measured.
#pragma once

#include <cstdint>
#include <ctime>

namespace penstock::detail {

/// What std::chrono::steady_clock reads. Without <chrono>, which brings <sstream> into every file that includes any of our headers.
inline std::uint64_t monotonic_ns() noexcept {
    std::timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

/// One interrupted measurement cannot spoil it.
inline std::uint64_t moving_average(std::uint64_t old, std::uint64_t now) { return (7 * old + (now < 4 * old + 100 ? now : 4 * old + 100)) / 8; }

}  // namespace penstock::detail
