#include <penstock/stages/watch.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("watch: stage contract, with the stages after it watched", "[unit][watch]") {
    test::battery(test::stage_case{
        .name = "watch",
        .make = [](auto src) { return std::move(src) | ps::watch("numbers") | ps::map([](auto i) { return i; }); },
        .model = [](std::vector<int> in) { return in; },
    });
}

TEST_CASE("watch: the example", "[unit][watch]") {
    using namespace ps;
    auto got =
    // example-begin watch
    range(3) | watch("numbers") | map([](auto i) { return i * i; })    // 0 1 4
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 4});
}

TEST_CASE("watch: from there on stages are told apart by name and counted, in both iteration forms", "[unit][watch]") {
    auto p = ps::range(10) | ps::map([](auto i) { return i; }) | ps::watch("numbers") | ps::map([](auto i) { return i; });
    for (int i = 0; i != 4; ++i) CHECK(p.next());
    auto three = [n = 0](auto&&) mutable { return ++n != 3; };
    CHECK_FALSE(p.for_each_while(three));
    auto const all = p.stats();
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "numbers");
    CHECK(all[1].name == "map");
    CHECK(all[0].items == 7);
    CHECK(all[1].items == 7);
    while (p.next()) {
    }
    CHECK(p.stats()[1].items == 10);
}
