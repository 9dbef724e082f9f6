#include <penstock/stages/take.hpp>

#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("take: stage contract", "[unit][take]") {
    test::battery(test::stage_case{
        .name = "take(3)",
        .make = [](auto src) { return std::move(src) | ps::take(3); },
        .model = [](std::vector<int> in) { in.resize(std::min<std::size_t>(in.size(), 3)); return in; },
        .drops = true,
    });
}
