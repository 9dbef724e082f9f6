// Implements: monotonic_ns(), the clock of the figures.
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

}  // namespace penstock::detail
