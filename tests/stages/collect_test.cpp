#include <penstock/stages/collect.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("collect: the example", "[unit][collect]") {
    using namespace ps;
    auto got =
    // example-begin collect
    range(3) | collect()    // 0 1 2
    // example-end
    ;
    CHECK(got == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("collect: takes what is left, an item that was looked at included", "[unit][collect]") {
    auto p = ps::range(4);
    CHECK(p.next() == 0);
    CHECK_FALSE(p.begin() == p.end());
    CHECK((std::move(p) | ps::collect()) == std::vector<std::int64_t>{1, 2, 3});
    CHECK((ps::range(0) | ps::collect()).empty());
}

TEST_CASE("collect: items that only move, and errors", "[unit][collect]") {
    auto all = ps::range(3) | ps::map([](auto i) { return test::move_only(static_cast<int>(i)); }) | ps::collect();
    REQUIRE(all.size() == 3);
    CHECK(all[2].number() == 2);
    CHECK_THROWS_AS(test::throwing_source(3, {1}) | ps::collect(), ps::stage_error);
}

TEST_CASE("collect: a chain that ends in a terminal is a terminal", "[unit][collect]") {
    auto twice = ps::map([](auto i) { return 2 * i; }) | ps::collect();
    CHECK((ps::range(3) | twice) == std::vector<std::int64_t>{0, 2, 4});
    CHECK((ps::range(1) | twice) == std::vector<std::int64_t>{0});
}
