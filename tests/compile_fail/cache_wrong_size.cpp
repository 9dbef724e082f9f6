// expect: cache(options, bytes): bytes must give a whole number for the item type of the stage before it. HINT: take it by const& and return its size
#include <penstock/sources/range.hpp>
#include <penstock/stages/cache.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::cache({.bytes = 3}, [](auto) { return "much"; }));
#endif
    (void)(ps::range(3) | ps::cache({.bytes = 3}, [](auto) { return 8; }));
}
