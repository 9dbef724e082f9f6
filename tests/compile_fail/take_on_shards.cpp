// expect: this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/take.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::shard_list("a.tar") | ps::take(3));
#endif
    (void)(ps::range(5) | ps::take(3));
}
