// expect: the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then an item of the stage before it. HINT: give the first the type that the stage was given, and take the item by value, const& or auto&&
// note: {"steer"} long int
#include <penstock/sources/range.hpp>
#include <penstock/stages/steer.hpp>

namespace ps = penstock;

int main() {
#ifdef PENSTOCK_REPAIRED
    auto f = [](int scale, auto i) { return scale * i; };
#else
    auto f = [](auto i) { return i; };
#endif
    (void)(ps::range(3) | ps::steer(ps::control<int>("scale", 1), f));
}
