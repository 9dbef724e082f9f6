// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"dedup"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/dedup.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::dedup(2, [](name) { return 1; }));
#endif
    (void)(ps::range(3) | ps::dedup(2, [](auto const& i) { return i / 2; }));
}
