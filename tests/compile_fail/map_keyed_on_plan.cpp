// expect: this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/stages/map_keyed.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
    auto stage = ps::map_keyed([](auto const& i) { return i; });
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | stage);
#endif
    (void)stage;
}
