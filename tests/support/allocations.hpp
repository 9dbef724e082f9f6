// Implements: allocations() and live_bytes(), how often this program called operator new and what it has not given back; link support/allocations.cpp.
#pragma once

#include <cstdint>

namespace penstock::test {

std::uint64_t allocations();
/// As the allocator counts them. Over-aligned memory is not among them.
std::int64_t live_bytes();

}  // namespace penstock::test
