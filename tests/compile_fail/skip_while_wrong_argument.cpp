// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"skip_while"} long const
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
