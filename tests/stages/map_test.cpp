#include <penstock/stages/map.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <memory>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("map: stage contract, f captures an int", "[unit][map]") {
    int const plus = 5;
    test::battery(test::stage_case{
        .name = "map(+5)",
        .make = [plus](auto src) { return std::move(src) | ps::map([plus](auto const& i) { return test::number(i) + plus; }); },
        .model = [plus](std::vector<int> in) {
            for (auto& i : in) i += plus;
            return in;
        },
    });
}

TEST_CASE("map: stage contract, f captures a unique_ptr and hands the item on", "[unit][map]") {
    test::battery(test::stage_case{
        .name = "map(same)",
        .make = [](auto src) { return std::move(src) | ps::map([kept = std::make_unique<int>(1)](auto item) { return item; }); },
        .model = [](std::vector<int> in) { return in; },
    });
}

TEST_CASE("map: the example", "[unit][map]") {
    using namespace ps;
    // clang-format off
    auto got =
    // example-begin map
    from_vector({1, 2, 3}) | map([](int i) { return i * i; })    // 1 4 9
    // example-end
    | collect();
    // clang-format on
    CHECK(got == std::vector{1, 4, 9});
}

TEST_CASE("map: keeps the identity of a keyed item", "[unit][map]") {
    auto p = test::keyed_source(4, {1, 2}) | ps::map([](int i) { return "<" + std::to_string(i) + ">"; });
    CHECK(p.world_max() == 2u);
    auto const item = p.next();
    REQUIRE(item);
    CHECK(item->value == "<2>");
    CHECK(item->id == 2);
    CHECK(item->key == "k2");
    CHECK(item->weight == 1);
    CHECK(item->cover.count() == 1);
}

TEST_CASE("map: an exception of f arrives as it is and consumes its item", "[unit][map]") {
    auto p = ps::from_vector({1, 2, 3}) | ps::map([](int i) {
                 if (i == 2) throw std::out_of_range("two");
                 return i;
             });
    CHECK(p.next() == 1);
    CHECK_THROWS_AS(p.next(), std::out_of_range);
    CHECK(p.next() == 3);
    CHECK(p.next() == std::nullopt);
}

TEST_CASE("map: calls f once per delivered item, and never for one that is passed over", "[unit][map]") {
    int calls = 0;
    auto p = ps::from_vector({1, 2, 3}) | ps::map([&calls](int i) { return ++calls, i; });
    CHECK(calls == 0);
    p.reset(0, 0);
    CHECK(ps::discard(p.inner()));
    CHECK(calls == 0);
    CHECK(p.next() == 2);
    CHECK(calls == 1);
    for (auto& i : p) CHECK(i == 3);
    CHECK(calls == 2);
}

TEST_CASE("map: a chain with a function that only moves is used once, one that copies is used again", "[unit][map]") {
    auto twice = ps::map([](int i) { return 2 * i; }) | ps::map([](int i) { return i + 1; });
    CHECK((ps::from_vector({1}) | twice | ps::collect()) == std::vector{3});
    CHECK((ps::from_vector({5}) | twice | ps::collect()) == std::vector{11});
    auto once = ps::map([p = std::make_unique<int>(7)](int i) { return i + *p; });
    CHECK((ps::from_vector({1}) | std::move(once) | ps::collect()) == std::vector{8});
}
