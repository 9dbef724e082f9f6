// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"map"} long lambda
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::map([](name) { return 1; }));
#endif
    (void)(ps::range(3) | ps::map([](auto i) { return i; }));
}
