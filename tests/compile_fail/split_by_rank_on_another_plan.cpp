// expect: split_by_rank(world) splits a list of shards or a stream of items, and what stands before it is neither. HINT: start from shard_list(...) or a source
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

struct plan {
    using plan_type = void;
};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | ps::split_by_rank({0, 2}));
#endif
    (void)(ps::shard_list("a.tar") | ps::split_by_rank({0, 2}));
}
