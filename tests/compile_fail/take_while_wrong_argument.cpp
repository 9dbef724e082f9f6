// expect: take_while(go): go cannot be asked about the item type of the stage before it. HINT: take it by const& and return bool
#include <penstock/sources/range.hpp>
#include <penstock/stages/take_while.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::take_while([](name) { return true; }));
#endif
    (void)(ps::range(3) | ps::take_while([](auto const& i) { return i != 0; }));
}
