// expect: filter_map works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/stages/filter_map.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
    auto stage = ps::filter_map([](auto const&) { return 0; });
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | stage);
#endif
    (void)stage;
}
