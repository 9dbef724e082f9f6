// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"min_by"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/min_by.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::min_by([](name) { return 1; }));
#endif
    (void)(ps::range(3) | ps::min_by([](auto i) { return i; }));
}
