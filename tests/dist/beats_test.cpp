#include <penstock/dist/beats.hpp>

#include <chrono>
#include <string>

#include <support/catch.hpp>

namespace dist = penstock::dist;
using namespace std::chrono_literals;

namespace {

auto const start = dist::peer_table::clock::now();

dist::beat says(std::uint64_t seq, std::uint64_t step, std::string phase, bool collective = false, std::uint64_t ops = 0) {
    return {.seq = seq, .step = step, .ops = ops, .collective = collective, .phase = std::move(phase)};
}

}  // namespace

TEST_CASE("beats: text form", "[unit][dist]") {
    dist::beat const b{.seq = 9, .step = 17, .ops = 3, .collective = true, .left = true, .in_phase_ms = 1234, .phase = "waits for data"};
    auto const c = dist::beat::parse(b.text());
    CHECK(c.text() == b.text());
    CHECK(c.phase == "waits for data");
    CHECK(c.left);
    auto const v = dist::verdict::parse(dist::verdict{2, "rank 2 failed: first line\n  HINT: second line"}.text());
    CHECK(v.rank == 2);
    CHECK(v.sentence == "rank 2 failed: first line\n  HINT: second line");
    CHECK(dist::beat::parse("").phase.empty());  // a damaged value is no reason to crash
}

TEST_CASE("beats: how a process died", "[unit][dist]") {
    CHECK(dist::how_it_died(0, 9) == "was killed by signal 9 (SIGKILL)");
    CHECK(dist::how_it_died(0, 11) == "was killed by signal 11 (SIGSEGV)");
    CHECK(dist::how_it_died(7, 0) == "ended with exit code 7");
}

TEST_CASE("beats: the silent rank is named, with what it did last", "[unit][dist]") {
    dist::peer_table t(0, 3);
    t.update(1, says(1, 4, "computes"), start);
    t.update(2, says(1, 4, "waits for data"), start);
    t.update(1, says(2, 5, "computes"), start + 3s);
    t.update(2, says(1, 4, "waits for data"), start + 3s);
    CHECK_FALSE(t.silent(4s));
    auto const v = t.silent(3s);
    REQUIRE(v);
    CHECK(v->rank == 2);
    CHECK(v->sentence == "rank 2 does not answer: last sign of life 3.0 s ago, at step 4, it waits for data");
}

TEST_CASE("beats: a store that is not read for long is no silence, and who has left is not silent", "[unit][dist]") {
    dist::peer_table t(0, 2);
    t.update(1, says(1, 4, "computes"), start);
    t.update(1, says(2, 4, "computes"), start + 100s);
    CHECK_FALSE(t.silent(1s));
    auto b = says(3, 9, "closes");
    b.left = true;
    t.update(1, b, start + 101s);
    t.update(1, b, start + 200s);
    CHECK_FALSE(t.silent(1s));
    auto const v = t.late(0, start + 200s);
    REQUIRE(v);
    CHECK(v->sentence == "rank 1 has ended its run at step 9, while others wait for it");
}

TEST_CASE("beats: the late rank is the one that is in no collective operation, or behind in them", "[unit][dist]") {
    dist::peer_table t(0, 4);
    t.update(1, says(1, 5, "waits for the other ranks", true, 12), start);
    t.update(2, says(1, 5, "waits for data", false, 11), start);
    t.update(3, says(1, 5, "waits for the other ranks", true, 12), start);
    auto v = t.late(12, start + 2s);
    REQUIRE(v);
    CHECK(v->rank == 2);
    CHECK(v->sentence == "rank 2 is late: alive, but at step 5 it waits for data for 2.0 s");

    t.update(2, says(2, 5, "computes gradients", true, 11), start);
    v = t.late(12, start + 2s);
    REQUIRE(v);
    CHECK(v->rank == 2);

    t.update(2, says(3, 5, "computes gradients", true, 12), start);
    CHECK_FALSE(t.late(12, start + 2s));  // all wait for each other: nobody is blamed
    CHECK(t.states(start + 2s).find("rank 3 at step 5 waits for the other ranks") != std::string::npos);

    t.update(1, says(2, 3, "computes", false, 9), start);
    t.update(2, says(4, 5, "computes", false, 12), start);
    CHECK(t.late(12, start + 2s)->rank == 1);  // two candidates: the one that is further behind
}
