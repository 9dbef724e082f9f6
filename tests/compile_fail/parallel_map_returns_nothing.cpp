// expect: parallel_map(f): f returns nothing. HINT: return the new item
// rooms: concurrency
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/sources/from_vector.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](int) {}));
#endif
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](int i) { return i; }));
}
