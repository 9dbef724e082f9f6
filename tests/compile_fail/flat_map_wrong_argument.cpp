// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"flat_map"} long
#include <penstock/sources/range.hpp>
#include <penstock/stages/flat_map.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::flat_map([](name) { return std::vector<int>{}; }));
#endif
    (void)(ps::range(3) | ps::flat_map([](auto i) { return std::vector{i}; }));
}
