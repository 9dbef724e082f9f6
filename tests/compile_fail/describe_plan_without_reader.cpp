// expect: describe_plan(p) finds no reader over shards before this chain
// rooms: formats
#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/describe_plan.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)ps::describe_plan(ps::range(5));
#endif
    (void)ps::describe_plan(ps::shard_list("a.tar") | ps::read_tar());
}
