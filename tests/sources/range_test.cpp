#include <penstock/sources/range.hpp>

#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("range: source contract", "[unit][range]") {
    test::battery(test::source_case{
        .name = "range",
        .make = [](int n, ps::world) { return ps::range(n); },
        .model = [](int n, test::facts const&) { return test::detail::numbers({.n = n}, 0, false); },
    });
}

TEST_CASE("range: for_each_n hands on what next() would, and an item that f throws for is consumed", "[unit][range]") {
    for (std::int64_t at = 0; at <= 5; ++at)
        for (std::int64_t n = 0; n <= 7; ++n) {
            auto r = ps::range(5).release();
            for (auto i = at; i != 0; --i) (void)r.next();
            std::vector<std::int64_t> got, expected;
            for (auto i = at; i != std::min<std::int64_t>(at + n, 5); ++i) expected.push_back(i);
            auto keep = [&](std::int64_t i) { got.push_back(i); };
            CHECK(r.for_each_n(static_cast<std::uint64_t>(n), keep) == (at + n > 5));
            CHECK(got == expected);
            CHECK(r.hint().lower == static_cast<std::uint64_t>(5 - at) - expected.size());
        }
    auto r = ps::range(5).release();
    auto fails = [](std::int64_t i) {
        if (i == 3) throw std::out_of_range("three");
    };
    CHECK_THROWS_AS(r.for_each_n(~std::uint64_t{0}, fails), std::out_of_range);
    CHECK(r.next() == 4);
}

TEST_CASE("range: the example", "[unit][range]") {
    using namespace ps;
    auto got =
    // example-begin range
    range(3) | collect()    // 0 1 2
    // example-end
    ;
    CHECK(got == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("range: a bad argument and a state of another range are named", "[unit][range]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::range(-1); });
    CHECK(text.find("range(n): n must be >= 0, got -1\n  HINT: ") != text.npos);
    auto p = ps::range(5);
    (void)p.next();
    auto other = ps::range(6);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(p.save()), 0; });
    CHECK(refused.find("saved at 1 of 5, this one has 6") != refused.npos);
    auto damaged = p.save();
    damaged.records.back().numbers.back().value = 9;
    CHECK_THROWS_AS(p.load(damaged), ps::state_error);
}
