#include <support/bench.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace bench = penstock::bench;

TEST_CASE("summary: the median and its 95 % interval by order statistics", "[unit][bench]") {
    std::vector<double> v(11);
    std::iota(v.rbegin(), v.rend(), 1.0);  // 11 .. 1
    bench::summary s(v);
    CHECK(s.value == 6);
    CHECK(s.low == 2);  // the 2nd and the 10th of 11 enclose it with 98.8 %, the 3rd and the 9th with 93.5 % only
    CHECK(s.high == 10);
    CHECK(s.rounds == 11);

    CHECK(bench::summary({4, 1}).value == 2.5);
    CHECK(bench::summary({3, 1, 2}).low == 1);  // too few to leave any out
    CHECK(bench::summary({3, 1, 2}).high == 3);
    CHECK_THROWS_AS(bench::summary(std::vector<double>{}), std::invalid_argument);
}

TEST_CASE("interleave: rivals take turns, and each goes first as often", "[unit][bench]") {
    std::string order;
    auto found = bench::interleave({{"a", [&] { order += 'a'; return 1.0; }}, {"b", [&] { order += 'b'; return 2.0; }}}, 4);
    CHECK(order == "ab" "ba" "ab" "ba" "ab");  // the first pair is not counted
    REQUIRE(found.size() == 2);
    CHECK(found[0] == std::vector<double>(4, 1.0));
    CHECK(found[1] == std::vector<double>(4, 2.0));
}

TEST_CASE("ratio: taken round by round", "[unit][bench]") {
    auto r = bench::ratio({2, 20, 200}, {1, 10, 100});  // the machine gets slower, the ratio stays
    CHECK(r.value == 2);
    CHECK(r.low == 2);
    CHECK(r.high == 2);
    CHECK((r * 10).high == 20);
}

TEST_CASE("cpu_seconds: counts children that ended", "[unit][bench]") {
    auto before = bench::cpu_seconds();
    auto child = ::fork();
    if (child == 0) {
        while (bench::cpu_seconds() < 0.05) {}
        ::_exit(0);
    }
    REQUIRE(child > 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(bench::cpu_seconds() - before >= 0.04);
}

TEST_CASE("goal: both directions, and the edge is met", "[unit][bench]") {
    CHECK(bench::at_most(1.02).met(1.02));
    CHECK_FALSE(bench::at_most(1.02).met(1.03));
    CHECK(bench::at_least(91).met(91));
    CHECK_FALSE(bench::at_least(91).met(90.9));
    CHECK(bench::between(0.9, 1.1).met(0.9));
    CHECK(bench::between(0.9, 1.1).met(1.1));
    CHECK_FALSE(bench::between(0.9, 1.1).met(0.89));
    CHECK_FALSE(bench::between(0.9, 1.1).met(1.11));
    CHECK_FALSE(bench::between(0, 1).met(std::nan("")));
    CHECK_FALSE(bench::at_most(1).met(std::nan("")));
    CHECK_FALSE(bench::at_least(1).met(std::nan("")));
}
