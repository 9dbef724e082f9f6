// expect: split_by_rank(world) splits a list of shards, but what stands before it yields items
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(5) | ps::split_by_rank({0, 2}));
#endif
    (void)(ps::shard_list("a.tar") | ps::split_by_rank({0, 2}));
}
