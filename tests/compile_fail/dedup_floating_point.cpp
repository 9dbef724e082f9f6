// expect: dedup tells items apart by a key that has std::hash and ==, and is no fraction, as NaN equals nothing. HINT: dedup(n, by), with a function of the item that returns a whole number or text
// note: tells_apart double
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/dedup.hpp>

#include <vector>

namespace ps = penstock;

int main() {  // NaN equals nothing, not even itself
#ifdef PENSTOCK_REPAIRED
    auto items = std::vector<int>{1};
#else
    auto items = std::vector<double>{1};
#endif
    (void)(ps::from_vector(items) | ps::dedup(2));
}
