// expect: dedup tells items apart by a key that has std::hash and ==, and is no fraction, as NaN equals nothing. HINT: dedup(n, by), with a function of the item that returns a whole number or text
// note: tells_apart name
#include <penstock/sources/range.hpp>
#include <penstock/stages/dedup.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::dedup(2, [](auto) { return name{}; }));
#endif
    (void)(ps::range(3) | ps::dedup(2, [](auto i) { return i; }));
}
