#include <penstock/stages/last.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("last: the example", "[unit][last]") {
    using namespace ps;
    auto got =
    // example-begin last
    range(6) | filter([](auto i) { return i < 3; }) | last()    // 2
    // example-end
    ;
    CHECK(got == 2);
}

TEST_CASE("last: makes all items, keeps identity, and may find none", "[unit][last]") {
    auto log = std::make_shared<test::probe>();
    CHECK((test::counting_source(5, log) | ps::last()) == 4);
    CHECK(log->made == 5);
    CHECK_FALSE((ps::range(0) | ps::last()));
    CHECK((test::keyed_source(9, {1, 3}) | ps::last())->key == "k5");
    CHECK_THROWS_AS(test::throwing_source(3, {1}) | ps::last(), ps::stage_error);
    CHECK((ps::pipeline(test::debug_source<test::as_move_only>({.n = 2})) | ps::last())->number() == 1);
}
