// expect: generate(f): f can be called neither with the number of an item nor with nothing. HINT: take a std::uint64_t
#include <penstock/sources/generate.hpp>

struct name {};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)ps::generate([](name) { return 1; });
#endif
    (void)ps::generate([](std::uint64_t) { return 1; });
}
