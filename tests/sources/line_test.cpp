#include <penstock/sources/line.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;

TEST_CASE("cut: shares are disjoint, whole, in order, and the largest is ceil(T/W)", "[unit][sources]") {
    ps::random_stream draw(11, 0, 0);
    for (int round = 0; round != 300; ++round) {
        std::vector<ps::interval> segments;
        std::uint64_t at = 0;
        for (auto n = draw.below(5); n != 0; --n) {
            at += draw.below(9);
            auto const begin = at;
            at += draw.below(40);
            segments.push_back({begin, at});
        }
        std::vector<std::uint64_t> wanted, got;
        for (auto s : segments)
            for (auto p = s.begin; p != s.end; ++p) wanted.push_back(p);
        auto const ranks = 1 + draw.below(17);
        std::uint64_t most = 0;
        for (std::uint32_t r = 0; r != ranks; ++r) {
            auto const mine = ps::cut(segments, {r, ranks});
            most = (std::max)(most, ps::total(mine));
            for (auto s : mine) {
                CHECK(s.begin < s.end);
                for (auto p = s.begin; p != s.end; ++p) got.push_back(p);
            }
        }
        REQUIRE(got == wanted);
        REQUIRE(most == (wanted.size() + ranks - 1) / ranks);
    }
}

TEST_CASE("cut: no product overflows", "[unit][sources]") {
    auto const all = std::vector<ps::interval>{{0, std::uint64_t{1} << 62}};
    auto const last = ps::cut(all, {(1u << 31) - 1, 1u << 31});
    REQUIRE(last.size() == 1);
    CHECK(last[0] == ps::interval{(std::uint64_t{1} << 62) - (std::uint64_t{1} << 31), std::uint64_t{1} << 62});
}

TEST_CASE("line: every pass holds every sample once; shuffled passes differ, empty shards are stepped over", "[unit][sources]") {
    auto const counts = std::vector<std::uint64_t>{0, 3, 0, 0, 5, 1, 0, 4, 0};
    for (bool const shuffled : {false, true}) {
        auto plan = ps::shard_list("s{0..8}", {.counts = counts});
        if (shuffled) plan = plan | ps::shuffle_shards();
        auto l = ps::line(plan);
        std::set<std::string> orders;
        for (std::uint64_t pass = 0; pass != 6; ++pass) {
            std::set<std::uint64_t> ids;
            std::string order;
            for (std::uint64_t slot = 0; slot != plan.samples();) {
                auto const run = l.find(5, pass * plan.samples() + slot);
                CHECK(run.pass == pass);
                CHECK(run.length >= 1);
                CHECK(run.sample + run.length == counts[run.shard]);
                ids.insert(plan.first_id(run.shard) + run.sample);
                order += std::to_string(run.shard);
                ++slot;
            }
            CHECK(ids.size() == plan.samples());
            orders.insert(order);
        }
        CHECK((shuffled ? orders.size() >= 4 : orders.size() == 1));
    }
}

TEST_CASE("line: the order is a pure function of key and pass, the same on every machine", "[unit][sources]") {
    auto const plan = ps::shard_list("s{00..49}", {.samples_per_shard = 1}) | ps::shuffle_shards();
    auto hash = std::uint64_t{0xCBF29CE484222325};
    auto a = ps::line(plan), b = ps::line(plan);
    for (std::uint64_t pass = 0; pass != 3; ++pass)
        for (std::uint64_t slot = 0; slot != 50; ++slot) hash = (hash ^ a.find(7, pass * 50 + slot).shard) * 0x100000001B3;
    CHECK(hash == 0xfe5f5dae9ab98746);
    // asked backwards, the same
    for (std::uint64_t at = 150; at-- != 0;) {
        auto const x = a.find(7, at), y = b.find(7, at);
        REQUIRE((x.shard == y.shard && x.pass == y.pass));
    }
    bool differs = false;
    for (std::uint64_t at = 0; at != 50; ++at) differs = differs || a.find(7, at).shard != b.find(8, at).shard;
    CHECK(differs);
}

TEST_CASE("line: each shard is equally often first", "[unit][sources]") {
    auto l = ps::line(ps::shard_list("s{0..7}", {.samples_per_shard = 1}) | ps::shuffle_shards());
    std::vector<int> first(8), last(8);
    for (std::uint64_t pass = 0; pass != 8000; ++pass) {
        ++first[l.find(1, pass * 8).shard];
        ++last[l.find(1, pass * 8 + 7).shard];
    }
    for (auto const& seen : {first, last})
        for (int n : seen) CHECK(std::abs(n - 1000) < 150);  // five standard deviations
}
