#include <penstock/stages/to.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/map.hpp>
#include <support/sources.hpp>

#include <deque>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("to: the example", "[unit][to]") {
    using namespace ps;
    auto got =
    // example-begin to
    from_vector({3, 1, 3}) | to<std::set>()    // 1 3
    // example-end
    ;
    static_assert(std::is_same_v<decltype(got), std::set<int>>);
    CHECK(got == std::set{1, 3});
}

TEST_CASE("to: containers by template and by type", "[unit][to]") {
    auto items = [] { return ps::from_vector({2, 1, 3}); };
    CHECK((items() | ps::to<std::vector>()) == std::vector{2, 1, 3});
    CHECK((items() | ps::to<std::deque>()) == std::deque{2, 1, 3});
    CHECK((items() | ps::to<std::multiset>()) == std::multiset{1, 2, 3});
    CHECK((items() | ps::to<std::vector<double>>()) == std::vector{2.0, 1.0, 3.0});
    CHECK((ps::from_vector({'a', 'b'}) | ps::to<std::string>()) == "ab");
    auto named = items() | ps::map([](int i) { return std::pair(i, std::to_string(i)); });
    auto const by_number = std::move(named) | ps::to<std::map>();
    static_assert(std::is_same_v<decltype(by_number), std::map<int, std::string> const>);
    CHECK(by_number.at(3) == "3");
    auto least = items() | ps::to<std::priority_queue<int>>();
    CHECK(least.size() == 3);
    CHECK(least.top() == 3);
}

TEST_CASE("to: nothing, items that only move, keyed items, an error", "[unit][to]") {
    CHECK((ps::from_vector<int>({}) | ps::to<std::set>()).empty());
    auto const owned = ps::pipeline(test::debug_source<test::as_move_only>({.n = 3})) | ps::to<std::vector>();
    REQUIRE(owned.size() == 3);
    CHECK(owned[2].number() == 2);
    auto const keyed = test::keyed_source(2) | ps::to<std::vector>();
    CHECK(keyed[1].key == "k1");
    CHECK_THROWS_AS(test::throwing_source(3, {1}) | ps::to<std::vector>(), ps::stage_error);
}
