// expect: scan(init, f): f returns nothing. HINT: return the new item; fold(init, f) returns the last state alone
#include <penstock/sources/range.hpp>
#include <penstock/stages/scan.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::scan(0, [](int& n, auto) { ++n; }));
#endif
    (void)(ps::range(3) | ps::scan(0, [](int& n, auto) { return ++n; }));
}
