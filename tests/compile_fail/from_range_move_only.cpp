// expect: from_range(r): the elements cannot be copied out of a range that is not the pipeline's own. HINT: give it away with std::move(r)
#include <penstock/sources/from_range.hpp>

#include <memory>
#include <vector>

std::vector<std::unique_ptr<int>> v;

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)ps::from_range(std::ref(v));
#endif
    (void)ps::from_range(std::move(v));
}
