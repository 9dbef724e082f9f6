// expect: indexed() reads a list of shards, but what stands before it yields items
// rooms: formats
#include <penstock/formats/indexed.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(5) | ps::indexed());
#endif
    (void)(ps::shard_list("a.tar") | ps::indexed());
}
