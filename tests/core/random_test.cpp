#include <penstock/core/random.hpp>

#include <penstock/core/epoch.hpp>
#include <penstock/core/ledger.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
using block = std::array<std::uint32_t, 4>;

TEST_CASE("philox: known answers of Random123", "[unit][random]") {
    // kat_vectors of Random123: philox4x32 10
    CHECK(ps::philox(0, {0, 0, 0, 0}) == block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(ps::philox(~std::uint64_t{0}, {~0u, ~0u, ~0u, ~0u}) == block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(ps::philox(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) == block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    STATIC_REQUIRE(ps::philox(0, {0, 0, 0, 0})[0] == 0x6627e8d5);
}

TEST_CASE("random_stream: equal for equal arguments, unrelated for any other, and without an end after a block", "[unit][random]") {
    auto take = [](ps::random_stream s, int n) {
        std::vector<std::uint32_t> all;
        for (int i = 0; i != n; ++i) all.push_back(s.bits32());
        return all;
    };
    auto const one = take({7, 1, 2}, 9);
    CHECK(take({7, 1, 2}, 9) == one);
    CHECK(std::set<std::uint32_t>(one.begin(), one.end()).size() == 9);
    std::uint64_t const far = std::uint64_t{1} << 32;
    for (auto const& other : {ps::random_stream{8, 1, 2}, {7, 0, 2}, {7, 1, 3}, {7, 1 + far, 2}, {7, 1, 2 + far}, {7 + far, 1, 2}}) CHECK(take(other, 9) != one);
    ps::random_stream wide(7, 1, 2);
    auto const both = wide.bits64();
    CHECK(both == (std::uint64_t{one[0]} << 32 | one[1]));
}

TEST_CASE("random_stream: below is in range and unbiased", "[unit][random]") {
    ps::random_stream s(1, 0, 0);
    for (int i = 0; i != 100; ++i) CHECK(s.below(1) == 0);
    for (std::uint32_t const n : {2u, 3u, 7u, 10u}) {
        std::vector<int> histogram(n);
        int const draws = 20000 * static_cast<int>(n);
        for (int i = 0; i != draws; ++i) ++histogram.at(s.below(n));
        for (int const h : histogram) CHECK(h == Approx(20000).epsilon(0.04));  // 5.6 standard deviations
    }
    // 3 * 2^30: without rejection every third number would come twice as often
    std::uint32_t const n = 3u << 30;
    int every_third = 0;
    for (int i = 0; i != 60000; ++i) every_third += s.below(n) % 3 == 0;
    CHECK(every_third == Approx(20000).epsilon(0.04));
}

TEST_CASE("random_stream: unit and chance keep their ends", "[unit][random]") {
    ps::random_stream s(2, 0, 0);
    double sum = 0;
    int hits = 0;
    for (int i = 0; i != 40000; ++i) {
        auto const u = s.unit();
        REQUIRE(u >= 0);
        REQUIRE(u < 1);
        sum += static_cast<double>(u);
        hits += s.chance(0.25);
        REQUIRE_FALSE(s.chance(0));
        REQUIRE(s.chance(1));
    }
    CHECK(sum / 40000 == Approx(0.5).epsilon(0.02));
    CHECK(hits == Approx(10000).epsilon(0.05));
}

TEST_CASE("epoch: children and branches differ by name and parent, the epoch itself does not change them", "[unit][random]") {
    auto const e = ps::epoch::of(3, 4);
    CHECK(e.child("shuffle") == e.child("shuffle"));
    CHECK(e.child("shuffle").seed == 3);
    CHECK(e.child("shuffle").index == 4);
    std::set<std::uint64_t> keys{e.key, e.child("a").key, e.child("b").key, e.branch("a").key, e.child("a").child("a").key, e.child("").key, ps::epoch::of(4, 4).key};
    CHECK(keys.size() == 7);
    CHECK(ps::epoch::of(3, 5).key == e.key);
    CHECK(ps::epoch{}.key == ps::epoch::of(0, 0).key);
    CHECK(ps::epoch{3, 4} == e);
    CHECK(ps::epoch{.seed = 3, .index = 4} == e);  // written by hand it draws by its seed as well
}
