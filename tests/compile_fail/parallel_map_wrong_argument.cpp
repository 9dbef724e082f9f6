// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"parallel_map"} int
// rooms: concurrency
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/sources/from_vector.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](name) { return 1; }));
#endif
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](int i) { return i; }));
}
