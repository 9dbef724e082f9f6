// expect: the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then an item of the stage before it. HINT: give the first the type that the stage was given, and take the item by value, const& or auto&&
// note: {"scan"} long int &
#include <penstock/sources/range.hpp>
#include <penstock/stages/scan.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::scan(0, [](double& sum, auto i) { return sum += static_cast<double>(i); }));
#endif
    (void)(ps::range(3) | ps::scan(0.0, [](double& sum, auto i) { return sum += static_cast<double>(i); }));
}
