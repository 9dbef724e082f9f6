#include <penstock/stages/count.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("count: the example", "[unit][count]") {
    using namespace ps;
    auto got =
    // example-begin count
    range(6) | filter([](auto i) { return i % 2 == 0; }) | count()    // 3
    // example-end
    ;
    CHECK(got == 3u);
}

TEST_CASE("count: makes every item, of nothing it is 0", "[unit][count]") {
    int made = 0;
    CHECK((ps::range(5) | ps::map([&](auto i) { return ++made, i; }) | ps::count()) == 5);
    CHECK(made == 5);
    CHECK((ps::range(0) | ps::count()) == 0);
    CHECK_THROWS_AS(test::throwing_source(3, {2}) | ps::count(), ps::stage_error);
}
