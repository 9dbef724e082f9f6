// Implements: allocations(), how often this program called operator new; link support/allocations.cpp.
#pragma once

#include <cstdint>

namespace penstock::test {

std::uint64_t allocations();

}  // namespace penstock::test
