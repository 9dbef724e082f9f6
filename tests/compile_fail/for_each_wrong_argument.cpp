// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"for_each"} long
#include <penstock/sources/range.hpp>
#include <penstock/stages/for_each.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    ps::range(3) | ps::for_each([](name) {});
#endif
    ps::range(3) | ps::for_each([](auto) {});
}
