// expect: min_by(f): f must make a key that < compares of the item type of the chain. HINT: take it by const& and return a number or a string
#include <penstock/sources/range.hpp>
#include <penstock/stages/min_by.hpp>

struct name {};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::min_by([](auto) { return name{}; }));
    (void)(ps::range(3) | ps::min_by([](name) { return 1; }));
#endif
    (void)(ps::range(3) | ps::min_by([](auto i) { return i; }));
}
