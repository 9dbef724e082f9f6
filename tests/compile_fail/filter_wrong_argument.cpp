// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"filter"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::filter([](name) { return true; }));
#endif
    (void)(ps::range(3) | ps::filter([](auto const& i) { return i != 0; }));
}
