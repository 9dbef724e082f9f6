// expect: dedup(n): the items have no std::hash and ==, by which they are told apart
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
