// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"inspect"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/inspect.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::inspect([](name) {}));
#endif
    (void)(ps::range(3) | ps::inspect([](auto const&) {}));
}
