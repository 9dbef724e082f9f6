// expect: the function of this stage must return a whole number. HINT: return how many tokens, pixels or bytes the item has; static_cast<std::uint64_t>(x) makes one of a fraction
// note: {"batch_by_cost"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch_by_cost.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::batch_by_cost(3, [](auto) { return 0.5; }));
#endif
    (void)(ps::range(3) | ps::batch_by_cost(3, [](auto i) { return i; }));
}
