// expect: inspect(f): f cannot be called with the item type of the stage before it. HINT: take it by const&
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
