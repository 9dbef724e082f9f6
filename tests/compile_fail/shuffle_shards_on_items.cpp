// expect: shuffle_shards() permutes a list of shards, but what stands before it yields items
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(5) | ps::shuffle_shards());
#endif
    (void)(ps::shard_list("a.tar") | ps::shuffle_shards());
}
