// Implements: the noise of this machine: the same work against itself, so its ratio must be equal to 1.
#include <support/bench.hpp>

#include <cstdint>

namespace bench = penstock::bench;

int main(int argc, char** argv) {
    bench::report out("rounds", argc, argv);
    auto work = [] {
        return bench::measure([] {
            std::uint64_t x = 1;
            for (int i = 0; i < 20'000'000; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
            bench::keep(x);
        });
    };
    auto rounds = bench::interleave({{"a", [&] { return work().cpu_s; }}, {"b", [&] { return work().cpu_s; }}}, 21);
    out.add({.name = "cpu_ms", .value = bench::summary(rounds[0]) * 1e3, .unit = "ms"});
    out.add({.name = "same_over_same", .value = bench::ratio(rounds[0], rounds[1]), .unit = "x", .vs = "itself", .goal = bench::at_most(1.05)});
    return out.finish();
}
