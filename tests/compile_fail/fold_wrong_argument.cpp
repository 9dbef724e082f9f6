// expect: the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then an item of the stage before it. HINT: give the first the type that the stage was given, and take the item by value, const& or auto&&
// note: {"fold"} long int
#include <penstock/sources/range.hpp>
#include <penstock/stages/fold.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::fold(0, [](name, auto) { return 0; }));
#endif
    (void)(ps::range(3) | ps::fold(0, [](int a, auto) { return a; }));
}
