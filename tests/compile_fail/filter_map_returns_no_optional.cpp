// expect: the function of this stage must return a std::optional, which is empty for the items to drop. HINT: use map(f) to keep every item
// note: {"filter_map"} long
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter_map.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::filter_map([](auto i) { return i; }));
#endif
    (void)(ps::range(3) | ps::filter_map([](auto i) { return std::optional(i); }));
}
