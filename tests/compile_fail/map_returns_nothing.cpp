// expect: the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look
// note: {"map"} long lambda
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::map([](auto) {}));
#endif
    (void)(ps::range(3) | ps::map([](auto i) { return i; }));
}
