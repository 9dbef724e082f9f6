// expect: read_tar(count_mode::unknown) reads a list of shards, but what stands before it yields items
// rooms: formats
#include <penstock/formats/read_tar_uncounted.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(5) | ps::read_tar(ps::count_mode::unknown));
#endif
    (void)(ps::shard_list("a.tar") | ps::read_tar(ps::count_mode::unknown));
}
