// expect: steer(control, f): f cannot be called with the control's value and the item of the stage before it
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
