// expect: dedup(n, by): by cannot be called with the item type of the stage before it, or returns nothing that has std::hash and ==. HINT: take it by const& and return a number or text
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
