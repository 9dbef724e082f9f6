// expect: from_range(r): r is no range: it has no begin() and end() over elements. HINT: give a container or a view
#include <penstock/sources/from_range.hpp>

#include <vector>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)ps::from_range(3);
#endif
    (void)ps::from_range(std::vector{3});
}
