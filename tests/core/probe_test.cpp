#include <penstock/core/probe.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/watch.hpp>
#include <support/sources.hpp>

#include <chrono>
#include <cstdint>
#include <thread>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
void busy(std::chrono::microseconds time) {
    for (auto const end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
    }
}
}  // namespace

TEST_CASE("probe: the estimated time is that of the calls, whichever way they are made", "[unit][probe]") {
    auto make = [] {
        return ps::range(400) | ps::watch() | ps::map([](auto i) {
                   busy(std::chrono::microseconds(i % 2 == 0 ? 20 : 100));
                   return i;
               });
    };
    auto p = make();
    while (p.next()) {
    }
    auto q = make();
    auto all = [](auto&&) { return true; };
    q.for_each_while(all);
    for (auto const& s : {p.stats()[1], q.stats()[1]}) {
        CHECK(s.items == 400);
        CHECK(s.total_ns > 400 * 60'000 * 8 / 10);  // at least the time that was spent, but for the luck of the draw
        CHECK(s.age_ns >= 400 * 60'000 - 1'000'000);
    }
}

TEST_CASE("probe: items that a batch takes in runs are counted and timed", "[unit][probe]") {
    auto p = ps::range(1000) | ps::watch() | ps::map([](auto i) { return i + 1; }) | ps::batch(7);
    std::uint64_t items = 0;
    while (auto batch = p.next()) items += batch->size();
    CHECK(items == 1000);
    CHECK(p.stats()[1].items == 1000);
    CHECK(p.stats()[1].total_ns > 0);
}

TEST_CASE("probe: calls are timed the more seldom the cheaper they are", "[unit][probe]") {
    ps::sampled_clock cheap, dear;
    for (int i = 0; i != 1000; ++i) {
        auto const at = cheap.due();
        cheap.timed(ps::sampled_clock::now());
        CHECK(cheap.due() > at);
    }
    CHECK(cheap.due() > 20'000);
    for (int i = 0; i != 20; ++i) dear.timed(ps::sampled_clock::now() - 1'000'000);
    CHECK(dear.due() == 20);
    CHECK(dear.total_ns() >= 20'000'000);
}

TEST_CASE("probe: a chain over shards is watched without being asked, one in memory is not", "[unit][probe]") {
    struct shards : test::ints {
        using watched_items = void;
    };
    auto p = ps::pipeline(shards{{.n = 4}}) | ps::stage("read_shards", [](auto s) { return s; }) | ps::filter([](int i) { return i % 2 == 0; });
    STATIC_REQUIRE(ps::watched_from<std::remove_cvref_t<decltype(p.inner())>>);
    while (p.next()) {
    }
    auto const all = p.stats();
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "read_shards");
    CHECK(all[0].items == 4);
    CHECK(all[1].name == "filter");
    CHECK(all[1].items == 2);
    CHECK((ps::range(3) | ps::map([](auto i) { return i; })).stats().empty());
}
