// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"filter_map"} long
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter_map.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::filter_map([](name) { return std::optional(1); }));
#endif
    (void)(ps::range(3) | ps::filter_map([](auto i) { return std::optional(i); }));
}
