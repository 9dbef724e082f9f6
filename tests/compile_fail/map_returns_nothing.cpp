// expect: map(f): f returns nothing. HINT: return the new item, or use inspect(f)
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::map([](auto) {}));
#endif
    (void)(ps::range(3) | ps::map([](auto i) { return i; }));
}
