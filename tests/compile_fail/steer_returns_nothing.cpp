// expect: the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look
// note: {"steer"} long int
#include <penstock/sources/range.hpp>
#include <penstock/stages/steer.hpp>

namespace ps = penstock;

int main() {
#ifdef PENSTOCK_REPAIRED
    auto f = [](int scale, auto i) { return scale * i; };
#else
    auto f = [](int, auto) {};
#endif
    (void)(ps::range(3) | ps::steer(ps::control<int>("scale", 1), f));
}
