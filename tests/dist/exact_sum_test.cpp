#include <penstock/dist/exact_sum.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;

namespace {

double sum(std::vector<double> const& xs) {
    dist::fixed_digits d{};
    for (double x : xs) {
        auto const one = dist::to_digits(x);
        for (std::size_t i = 0; i < d.size(); ++i) d[i] += one[i];
    }
    return dist::from_digits(d);
}

}  // namespace

TEST_CASE("exact_sum: a double survives the trip", "[unit][dist]") {
    for (double x : {0.0, 1.0, 0.1, 1.0 / 3, 64.0, 1e15 + 0.5, 4294967296.0, 9007199254740993.0, 0x1p62, std::nextafter(0x1p63, 0), 0x1p-64, 3 * 0x1p-64, 0x1.fffffffffffffp-12}) {
        CAPTURE(x);
        CHECK(dist::from_digits(dist::to_digits(x)) == x);
    }
    std::mt19937_64 bits(1);
    for (int i = 0; i < 10'000; ++i) {
        double const x = std::ldexp(static_cast<double>(bits() >> 11), static_cast<int>(bits() % 73) - 64);  // lowest bit >= 2^-64, below 2^62
        if (dist::from_digits(dist::to_digits(x)) != x) CHECK(dist::from_digits(dist::to_digits(x)) == x);
    }
}

TEST_CASE("exact_sum: the sum does not depend on the order, and is rounded once", "[unit][dist]") {
    CHECK(sum({0.1, 0.2, 0.3}) == sum({0.3, 0.2, 0.1}));
    CHECK(0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1);  // why a floating-point sum would not do
    CHECK(sum(std::vector<double>(10, 0.1)) == 1.0);  // ten times the double nearest to 0.1 is 1 + 5.6e-17, nearest double 1
    CHECK(sum({0x1p53, 1, 1}) == 0x1p53 + 2);
    CHECK(sum({0x1p53, 1}) == 0x1p53);                            // tie: to even
    CHECK(sum({0x1p53, 1, 0x1p-64}) == 0x1p53 + 2);               // just above the tie: the lowest bit decides
    CHECK(sum({0x1p53, 0x1p-1, 0x1p-1, 0x1p-60}) == 0x1p53 + 2);
    CHECK(sum(std::vector<double>(100'000, 0x1p62)) == 100'000 * 0x1p62);  // digits grow beyond 32 bits
    CHECK(sum(std::vector<double>(100'000, std::nextafter(0x1p62, 0))) == 100'000 * std::nextafter(0x1p62, 0));
}

TEST_CASE("exact_sum: impossible weights are named", "[unit][dist]") {
    for (double x : {-1.0, -0x1p-70, 0x1p63, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        CAPTURE(x);
        CHECK_THROWS_AS(dist::to_digits(x), penstock::error);
    }
}
