// expect: join_by_key(a, b): the items of both must carry a key. HINT: read them from shards, or put split_by_rank right behind data in memory
#include <penstock/sources/range.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/join_by_key.hpp>

namespace ps = penstock;

int main() {
    auto keyed = [] { return ps::range(3) | ps::split_by_rank({}); };
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::join_by_key(keyed()));
#endif
    (void)(keyed() | ps::join_by_key(keyed()));
}
