#include <penstock/stages/for_each.hpp>

#include <penstock/sources/range.hpp>
#include <support/battery.hpp>

#include <iostream>
#include <sstream>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("for_each: the example", "[unit][for_each]") {
    using namespace ps;
    std::ostringstream printed;
    auto* const before = std::cout.rdbuf(printed.rdbuf());
    // example-begin for_each
    range(3) | for_each([](auto i) { std::cout << i; });    // prints 012
    // example-end
    std::cout.rdbuf(before);
    CHECK(printed.str() == "012");
}

TEST_CASE("for_each: sees the values of keyed items, by value if it likes, until one throws", "[unit][for_each]") {
    std::vector<int> seen;
    test::keyed_source(3) | ps::for_each([&](int i) { seen.push_back(i); });
    CHECK(seen == std::vector{0, 1, 2});
    CHECK_THROWS_AS(test::source_of({.n = 5}) | ps::for_each([&](int i) {
                        if (i == 2) throw std::out_of_range("two");
                        seen.push_back(i);
                    }),
                    std::out_of_range);
    CHECK(seen == std::vector{0, 1, 2, 0, 1});
}
