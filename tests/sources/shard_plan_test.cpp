#include <penstock/sources/shard_plan.hpp>
#include <penstock/sources/shard_list.hpp>

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

TEST_CASE("shard_plan: the fingerprint knows names and counts, not directories", "[unit][sources]") {
    auto const f = [](char const* pattern, std::vector<std::uint64_t> counts) { return ps::shard_list(pattern, {.counts = std::move(counts)}).fingerprint(2); };
    auto const here = f("a{0..1}", {1, 2});
    CHECK(here == f("/elsewhere/a{0..1}", {1, 2}));
    CHECK(here != f("b{0..1}", {1, 2}));
    CHECK(here != f("a{0..1}", {2, 1}));
    CHECK(here != f("a1::a0", {1, 2}));
    CHECK(here == f("a{0..2}", {1, 2, 3}));  // of the first two only
}
