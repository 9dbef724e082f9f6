#include <penstock/sources/split_by_rank.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {

template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (ps::config_error const& e) {
        return e.what();
    }
    return {};
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("split_by_rank: the example of its comment", "[unit][sources]") {
    // example-begin split_by_rank
    auto plan = ps::shard_list("a.tar") | ps::split_by_rank({.rank = 1, .size = 4})    // the second quarter of each epoch
    // example-end split_by_rank
        ;
    CHECK(plan.part() == ps::world{1, 4});
}

TEST_CASE("split_by_rank: shuffling and splitting make new plans, in any order", "[unit][sources]") {
    auto const plain = ps::shard_list("s{0..3}", {.samples_per_shard = 2});
    auto const a = plain | ps::shuffle_shards() | ps::split_by_rank({1, 4});
    auto const b = plain | ps::split_by_rank({1, 4}) | ps::shuffle_shards();
    CHECK_FALSE(plain.shuffled());
    CHECK(plain.part() == ps::world{0, 1});
    CHECK((a.shuffled() && b.shuffled()));
    CHECK((a.part() == ps::world{1, 4} && b.part() == ps::world{1, 4}));
    auto const chain = ps::shuffle_shards() | ps::split_by_rank({1, 4});
    CHECK((plain | chain).shuffled());
    CHECK_NOTHROW(a | ps::split_by_rank({1, 4}));
    CHECK(has(refusal([&] { (void)(a | ps::split_by_rank({2, 4})); }), "split already for rank 1 of 4, got rank 2 of 4"));
    CHECK(has(refusal([] { (void)ps::split_by_rank({4, 4}); }), "got rank 4, world 4"));
}
