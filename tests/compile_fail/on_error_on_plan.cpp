// expect: on_error works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/stages/on_error.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
    auto stage = ps::on_error();
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | stage);
#endif
    (void)stage;
}
