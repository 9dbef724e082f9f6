// expect: this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/sources/range.hpp>
#include <penstock/stages/take.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | ps::take(3));
#endif
    (void)(ps::range(3) | ps::take(3));
}
