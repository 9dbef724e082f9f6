#include <penstock/stages/first.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("first: the example", "[unit][first]") {
    using namespace ps;
    auto got =
    // example-begin first
    range(6) | filter([](auto i) { return i > 2; }) | first()    // 3
    // example-end
    ;
    CHECK(got == 3);
}

TEST_CASE("first: pulls one item, keeps identity, and may find none", "[unit][first]") {
    auto log = std::make_shared<test::probe>();
    CHECK((test::counting_source(5, log) | ps::first()) == 0);
    CHECK(log->pulls == 1);
    CHECK_FALSE((ps::range(0) | ps::first()));
    CHECK((test::keyed_source(9, {1, 3}) | ps::first())->id == 3);
    auto p = ps::range(5);
    CHECK((ps::by_ref(p) | ps::first()) == 0);
    CHECK((ps::by_ref(p) | ps::first()) == 1);
    CHECK_THROWS_AS(test::throwing_source(3, {0}) | ps::first(), ps::stage_error);
    CHECK((ps::pipeline(test::debug_source<test::as_move_only>({.n = 2})) | ps::first())->number() == 0);
}
