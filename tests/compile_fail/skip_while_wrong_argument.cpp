// expect: skip_while(drop): drop cannot be asked about the item type of the stage before it. HINT: take it by const& and return bool
#include <penstock/sources/range.hpp>
#include <penstock/stages/skip_while.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::skip_while([](name) { return true; }));
#endif
    (void)(ps::range(3) | ps::skip_while([](auto const& i) { return i != 0; }));
}
