// expect: several threads call the function of this stage at once, so it must be callable as const. HINT: drop `mutable`, and keep what a call changes inside the call
// note: {"parallel_map"} int
// rooms: concurrency
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/sources/from_vector.hpp>

namespace ps = penstock;

int main() {
#ifdef PENSTOCK_REPAIRED
    auto f = [calls = 0](int i) { return calls + i; };
#else
    auto f = [calls = 0](int i) mutable { return ++calls + i; };
#endif
    (void)(ps::from_vector({1, 2}) | ps::parallel_map(f));
}
