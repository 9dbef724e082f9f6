// expect: the function of this stage must return a key that < compares. HINT: return a number or a string
// note: {"max_by"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/max_by.hpp>

struct name {};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::max_by([](auto) { return name{}; }));
#endif
    (void)(ps::range(3) | ps::max_by([](auto i) { return i; }));
}
