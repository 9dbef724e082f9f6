#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>

#include <cstdint>
#include <string>
#include <vector>

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

TEST_CASE("shard_plan: counts number the samples in list order", "[unit][sources]") {
    auto const plan = ps::shard_list("s{0..3}", {.counts = {3, 0, 5, 1}});
    REQUIRE(plan.counted());
    CHECK(plan.samples() == 9);
    CHECK(plan.first_id(2) == 3);
    CHECK(plan.first_id(3) == 8);
    CHECK(plan.count(1) == 0);
    CHECK(plan.epoch_samples() == 9);
    CHECK(ps::shard_list("s{0..3}", {.samples_per_shard = 7}).samples() == 28);
    CHECK(ps::shard_list("s{0..3}", {.samples_per_shard = 7, .repeat = 3}).epoch_samples() == 84);
    CHECK(ps::shard_list("s{0..3}", {.samples_per_shard = 7, .samples_per_epoch = 10}).epoch_samples() == 10);
    CHECK_FALSE(ps::shard_list("s{0..3}").counted());
}

TEST_CASE("shard_plan: options that contradict are refused", "[unit][sources]") {
    CHECK(has(refusal([] { (void)ps::shard_list("s{0..3}", {.counts = {1, 2}}); }), "one number per shard (4), got 2"));
    CHECK(has(refusal([] { (void)ps::shard_list("s", {.samples_per_shard = 1, .counts = {1}}); }), "give one of them"));
    CHECK(has(refusal([] { (void)ps::shard_list("s", {.repeat = 0}); }), "got 0"));
    CHECK(has(refusal([] { (void)ps::shard_list("s", {.samples_per_epoch = 5, .repeat = 2}); }), "got 5 and 2"));
    CHECK(has(refusal([] { (void)ps::shard_list("s{0..1}", {.counts = {1ull << 48, 1}}); }), "2^48"));
    CHECK(has(refusal([] { (void)ps::shard_list("s", {.samples_per_shard = 1ull << 40, .repeat = 1ull << 40}).epoch_samples(); }), "repeat is too large"));
}

TEST_CASE("shard_plan: shuffling and splitting make new plans, in any order", "[unit][sources]") {
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

TEST_CASE("shard_plan: the fingerprint knows names and counts, not directories", "[unit][sources]") {
    auto const f = [](char const* pattern, std::vector<std::uint64_t> counts) { return ps::shard_list(pattern, {.counts = std::move(counts)}).fingerprint(2); };
    auto const here = f("a{0..1}", {1, 2});
    CHECK(here == f("/elsewhere/a{0..1}", {1, 2}));
    CHECK(here != f("b{0..1}", {1, 2}));
    CHECK(here != f("a{0..1}", {2, 1}));
    CHECK(here != f("a1::a0", {1, 2}));
    CHECK(here == f("a{0..2}", {1, 2, 3}));  // of the first two only
}
