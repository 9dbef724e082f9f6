// expect: the function of this stage must return a range, as a vector or a string is one. HINT: use map(f) for one result per item
// note: {"flat_map"} long
#include <penstock/sources/range.hpp>
#include <penstock/stages/flat_map.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::flat_map([](auto i) { return i; }));
#endif
    (void)(ps::range(3) | ps::flat_map([](auto i) { return std::vector{i}; }));
}
