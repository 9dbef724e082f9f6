#include <penstock/dist/packet.hpp>

#include <support/rank_threads.hpp>

#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;
namespace test = penstock::test;
using namespace std::chrono_literals;

TEST_CASE("packet: every rank gets the same exact sums", "[unit][dist]") {
    for (int world : {1, 2, 3, 4}) {
        CAPTURE(world);
        std::vector<dist::packet_sum> got(4);
        auto const errors = test::on_ranks(world, [&](dist::context& ctx) {
            int const r = ctx.rank();
            auto first = dist::start(ctx, {.weight = 0.1 * (r + 1), .samples = 10 + r, .has_data = r != 1, .want_stop = r == 0, .control = {1, r, -r, std::int64_t{1} << 40}});
            auto second = dist::start(ctx, {.weight = 1e15, .want_save = true, .nonfinite = r == 0, .failed = r == 0});  // two under way at once
            got[static_cast<std::size_t>(r)] = first.wait();
            auto const s = second.wait();
            if (s.weight != 1e15 * ctx.world_size() || s.want_save != ctx.world_size() || s.nonfinite != 1 || s.failed != 1 || s.samples != 0) throw std::runtime_error("second packet");
        });
        CHECK(errors == test::nothing(world));
        dist::fixed_digits exact{};
        for (int r = 0; r < world; ++r)
            for (std::size_t i = 0; i < exact.size(); ++i) exact[i] += dist::to_digits(0.1 * (r + 1))[i];
        for (int r = 0; r < world; ++r) {
            auto const& s = got[static_cast<std::size_t>(r)];
            CHECK(s.weight == dist::from_digits(exact));
            CHECK(s.samples == 10 * world + world * (world - 1) / 2);
            CHECK(s.has_data == (world > 1 ? world - 1 : 1));
            CHECK(s.want_stop == 1);
            CHECK(s.want_save == 0);
            CHECK(s.control == std::array<std::int64_t, 4>{world, world * (world - 1) / 2, -world * (world - 1) / 2, world * (std::int64_t{1} << 40)});
            CHECK(s.ranks == world);
        }
    }
}

TEST_CASE("packet: an impossible weight is refused where it arises", "[unit][dist]") {
    auto ctx = dist::context::in_process({}, 0, 1);
    CHECK_THROWS_AS(dist::start(ctx, {.weight = -1}), penstock::error);
    CHECK_THROWS_AS(dist::start(ctx, {.weight = std::numeric_limits<double>::quiet_NaN()}), penstock::error);
}

TEST_CASE("packet: a handle that is dropped leaves the group usable", "[unit][dist]") {
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        { auto dropped = dist::start(ctx, {.weight = 1}); }
        auto next = dist::start(ctx, {.weight = 2});
        if (next.wait().weight != 4) throw std::runtime_error("wrong sum");
    });
    CHECK(errors == test::nothing(2));
}
