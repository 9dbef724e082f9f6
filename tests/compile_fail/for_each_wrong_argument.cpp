// expect: for_each(f): f cannot be called with the item type of the chain. HINT: take it by value, const& or auto&&
#include <penstock/sources/range.hpp>
#include <penstock/stages/for_each.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    ps::range(3) | ps::for_each([](name) {});
#endif
    ps::range(3) | ps::for_each([](auto) {});
}
