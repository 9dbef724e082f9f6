// What does watching cost? The same chain over a source whose items take 1 us each, with its stages watched and without: CPU time per item.
// Many short rounds: what disturbs the machine spoils a few pairs, which the median of the paired ratios does not see.
#include <support/bench.hpp>

#include <penstock/core/probe.hpp>
#include <penstock/core/stage.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

std::uint64_t work(std::uint64_t x, int steps) {
    for (int i = 0; i != steps; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

/// n items, each the result of `steps` dependent steps.
struct slow_source {
    using item_type = std::uint64_t;
    std::uint64_t n = 0;
    int steps = 0;
    std::uint64_t i = 0;
    std::optional<std::uint64_t> next() { return i == n ? std::nullopt : std::optional(work(i++, steps)); }
};
/// Its stages are watched, as those of shards are.
struct watched_source : slow_source {
    using watched_items = void;
};
static_assert(ps::watched_from<watched_source> && !ps::watched_from<slow_source>);

template <class Source>
Source made(std::uint64_t n, int steps) {
    Source s{};
    s.n = n;
    s.steps = steps;
    return s;
}

template <class Source>
double ns_per_item(int steps) {
    constexpr std::uint64_t n = 20'000;
    auto chain = ps::pipeline(made<Source>(n, steps)) | ps::map([](std::uint64_t x) { return x ^ (x >> 3); }) | ps::filter([](std::uint64_t x) { return x % 8 != 0; }) |
                 ps::map([](std::uint64_t x) { return x + 1; });
    auto const spent = bench::measure([&] {
        while (auto x = chain.next()) bench::keep(*x);
    });
    return 1e9 * spent.cpu_s / static_cast<double>(n);
}

/// Steps that take 1 us.
int calibrated() {
    constexpr int steps = 1'000'000;
    auto best = 1.0;
    for (int i = 0; i != 5; ++i) best = (std::min)(best, bench::measure([] { bench::keep(work(1, steps)); }).cpu_s);
    return static_cast<int>(steps * 1e-6 / best);
}

void measure(int argc, char** argv) {
    auto const steps = calibrated();
    auto const found = bench::interleave({{"watched", [=] { return ns_per_item<watched_source>(steps); }}, {"bare", [=] { return ns_per_item<slow_source>(steps); }}}, 201, 4);
    std::vector<double> cost;
    for (std::size_t i = 0; i != found[0].size(); ++i) cost.push_back(100 * (found[0][i] / found[1][i] - 1));
    bench::report out("chain_watch", argc, argv);
    out.add({.name = "watch_cost", .value = bench::summary(cost), .unit = "%", .vs = "the same chain unwatched", .goal = bench::at_most(0.5)});
    out.add({.name = "watched_ns", .value = bench::summary(found[0]), .unit = "ns/item"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "chain_watch: %s\n", e.what());
        return 1;
    }
}
