// expect: unbatch works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/stages/unbatch.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
    auto stage = ps::unbatch();
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | stage);
#endif
    (void)stage;
}
