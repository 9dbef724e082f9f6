// expect: batch_by_cost(budget, cost): cost must give a whole number for the item type of the stage before it. HINT: take it by const& and return a number of tokens, pixels or bytes
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch_by_cost.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::batch_by_cost(3, [](auto) { return 0.5; }));
#endif
    (void)(ps::range(3) | ps::batch_by_cost(3, [](auto i) { return i; }));
}
