// expect: the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look
// note: {"scan"} long int &
#include <penstock/sources/range.hpp>
#include <penstock/stages/scan.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::scan(0, [](int& n, auto) { ++n; }));
#endif
    (void)(ps::range(3) | ps::scan(0, [](int& n, auto) { return ++n; }));
}
