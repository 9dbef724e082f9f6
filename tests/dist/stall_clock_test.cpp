#include <penstock/dist/stall_clock.hpp>

#include <chrono>

#include <support/catch.hpp>

using namespace std::chrono_literals;

TEST_CASE("stall_clock: time of its own passes, pauses of the process do not", "[unit][dist]") {
    auto const start = std::chrono::steady_clock::now();
    penstock::dist::stall_clock c(2s, start);
    CHECK(c.at(start + 1s) == start + 1s);
    CHECK(c.at(start + 3s) == start + 3s);        // as long as the gap: counts
    CHECK(c.at(start + 100s) == start + 3s);      // stopped
    CHECK(c.at(start + 101s) == start + 4s);
    CHECK(c.at(start + 1000s) == start + 4s);     // and again
    CHECK(c.at(start + 1001s) == start + 5s);
    penstock::dist::stall_clock real;
    auto const before = real.now();
    CHECK(real.now() >= before);
    CHECK(real.now() - before < 1s);
}
