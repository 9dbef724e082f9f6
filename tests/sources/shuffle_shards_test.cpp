#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/shard_list.hpp>

#include <support/catch.hpp>

namespace ps = penstock;

TEST_CASE("shuffle_shards: makes a new plan of the same shards", "[unit][sources]") {
    // example-begin shuffle_shards
    auto plan = ps::shard_list("train-{000..002}.tar") | ps::shuffle_shards()    // still 3 shards
    // example-end shuffle_shards
        ;
    CHECK(plan.shards() == 3);
    CHECK(plan.shuffled());
    CHECK((plan | ps::shuffle_shards()).shuffled());
    CHECK_FALSE(ps::shard_list("train-{000..002}.tar").shuffled());
}
