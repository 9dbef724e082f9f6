// expect: fold(init, f): f(total, item) must take the type of init and the item type of the chain, and return the new total. HINT: give init the type of the sum
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
