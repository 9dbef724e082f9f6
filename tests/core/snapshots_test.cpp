#include <penstock/core/snapshots.hpp>

#include <cstdint>

#include <support/allocations.hpp>
#include <support/catch.hpp>

namespace ps = penstock;

namespace {
std::uint64_t take(ps::snapshots& all, std::uint64_t at, std::uint64_t oldest) {
    all.begin().stage("source", 1).put("at", at);
    return all.keep(at, oldest);
}
std::uint64_t read(ps::snapshots::snapshot const& s) { return ps::state_reader(s.where).stage("source", 1).get("at"); }
}  // namespace

TEST_CASE("snapshots: the newest that is not younger than what is held, and none before it", "[unit][snapshots]") {
    ps::snapshots all;
    CHECK(all.empty());
    for (std::uint64_t const at : {0u, 4u, 8u, 12u}) CHECK(take(all, at, 0) == 0);
    CHECK(all.newest_for(3).at == 0);
    CHECK(all.newest_for(4).at == 4);
    CHECK(all.newest_for(11).at == 8);
    CHECK(all.newest_for(100).at == 12);
    CHECK(take(all, 16, 9) == 8);
    CHECK(all.newest_for(9).at == 8);
    CHECK(all.newest_for(0).at == 8);
    for (std::uint64_t const at : {8u, 12u, 16u}) CHECK(read(all.newest_for(at)) == at);
}

TEST_CASE("snapshots: one that was begun and not kept leaves nothing", "[unit][snapshots]") {
    ps::snapshots all;
    take(all, 0, 0);
    all.begin().stage("half", 1).put("a", 1);
    CHECK(take(all, 4, 0) == 0);
    CHECK(read(all.newest_for(4)) == 4);
    all.clear();
    CHECK(all.empty());
    CHECK(take(all, 20, 20) == 20);
}

TEST_CASE("snapshots: dropped ones are written again, so the storage is that of the most there were", "[unit][snapshots]") {
    ps::snapshots all;
    for (std::uint64_t at = 0; at != 40; at += 4) take(all, at, at < 12 ? 0 : at - 12);
    auto const before = penstock::test::live_bytes();
    for (std::uint64_t at = 40; at != 4000; at += 4) take(all, at, at - 12);
    CHECK(penstock::test::live_bytes() == before);
}
