// expect: from_range(r): r is a named container, which the pipeline could outlive. HINT: give it away with std::move(r), or std::ref(r) to read it in place
#include <penstock/sources/from_range.hpp>

#include <vector>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    std::vector<int> w{1};
    (void)ps::from_range(w);
#endif
    std::vector<int> v{1};
    (void)ps::from_range(std::ref(v));
    (void)ps::from_range(std::move(v));
}
