// expect: scan(init, f): f(state, item) cannot be called with the type of init, by reference, and the item type of the stage before it. HINT: give init the type of the state
#include <penstock/sources/range.hpp>
#include <penstock/stages/scan.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::scan(0, [](double& sum, auto i) { return sum += static_cast<double>(i); }));
#endif
    (void)(ps::range(3) | ps::scan(0.0, [](double& sum, auto i) { return sum += static_cast<double>(i); }));
}
