// expect: the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look
// note: {"parallel_map"} int
// rooms: concurrency
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/sources/from_vector.hpp>

namespace ps = penstock;

struct nothing_as_const {
    int operator()(int i) { return i; }
    void operator()(int) const {}
};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](int) {}));
    (void)(ps::from_vector({1, 2}) | ps::parallel_map(nothing_as_const{}));
#endif
    (void)(ps::from_vector({1, 2}) | ps::parallel_map([](int i) { return i; }));
}
