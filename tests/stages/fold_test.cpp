#include <penstock/stages/fold.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <memory>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("fold: the example", "[unit][fold]") {
    using namespace ps;
    auto got =
    // example-begin fold
    range(5) | fold(0, [](auto sum, auto i) { return sum + i; })    // 10
    // example-end
    ;
    CHECK(got == 10);
}

TEST_CASE("fold: from left to right, over the values of keyed items, into a type that only moves", "[unit][fold]") {
    CHECK((test::keyed_source(4) | ps::fold(std::string("s"), [](std::string s, int i) { return s + std::to_string(i); })) == "s0123");
    CHECK((ps::range(0) | ps::fold(7, [](int a, auto) { return a; })) == 7);
    auto sum = ps::range(4) | ps::fold(std::make_unique<std::int64_t>(1), [](auto total, auto i) {
                   *total += i;
                   return total;
               });
    CHECK(*sum == 7);
}
