// What does an item cost that crosses to another thread and back? Wall time per item with two threads; CPU time of all threads beside it.
//   prefetch_ns           range | prefetch(1024): one thread pulls, another consumes
//   parallel_map_ns       range | parallel_map of a function that does next to nothing, ordered, two threads
//   parallel_map_scaling  a function of 20 us: the time that two bare threads need for the same calls, over parallel_map's
#include <support/bench.hpp>

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/sources/range.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

using number = std::int64_t;

bench::cost pull_all(auto chain, number expected) {
    number count = 0;
    auto const spent = bench::measure([&] {
        while (auto x = chain.next()) {
            bench::keep(*x);
            ++count;
        }
    });
    if (count != expected) throw std::runtime_error("the chain yielded " + std::to_string(count) + " items of " + std::to_string(expected));
    return spent;
}

/// The same number of dependent steps for every item; calibrated to 20 us.
std::uint64_t work(number x, int steps) {
    auto h = static_cast<std::uint64_t>(x);
    for (int i = 0; i != steps; ++i) h = h * 6364136223846793005u + 1442695040888963407u;
    return h;
}
int calibrated() {
    auto best = 1.0;
    constexpr int steps = 1'000'000;
    for (int i = 0; i != 5; ++i) best = (std::min)(best, bench::measure([] { bench::keep(work(1, steps)); }).wall_s);
    return static_cast<int>(steps * 20e-6 / best);
}

void measure(int argc, char** argv) {
    constexpr number prefetched = 2'000'000;
    std::vector<double> prefetch_cpu;
    std::vector<bench::candidate> candidates{{"prefetch", [&] {
                                                  auto const spent = pull_all(ps::range(prefetched) | ps::prefetch(1024), prefetched);
                                                  prefetch_cpu.push_back(1e9 * spent.cpu_s / static_cast<double>(prefetched));
                                                  return 1e9 * spent.wall_s / static_cast<double>(prefetched);
                                              }}};
    constexpr number trivial = 1'000'000, heavy = 20'000;
    std::vector<double> trivial_cpu;
    auto const steps = calibrated();
    candidates.push_back({"parallel_map", [&] {
                              auto const spent = pull_all(ps::range(trivial) | ps::parallel_map([](number x) { return x + 1; }, {.threads = 2}), trivial);
                              trivial_cpu.push_back(1e9 * spent.cpu_s / static_cast<double>(trivial));
                              return 1e9 * spent.wall_s / static_cast<double>(trivial);
                          }});
    candidates.push_back({"parallel_map_20us", [&] {
                              return pull_all(ps::range(heavy) | ps::parallel_map([=](number x) { return work(x, steps); }, {.threads = 2}), heavy).wall_s;
                          }});
    candidates.push_back({"bare_threads", [&] {
                              return bench::measure([&] {
                                         auto const half = [&](number from, number to) {
                                             for (auto i = from; i != to; ++i) bench::keep(work(i, steps));
                                         };
                                         std::thread other(half, 0, heavy / 2);
                                         half(heavy / 2, heavy);
                                         other.join();
                                     })
                                  .wall_s;
                          }});
    auto const found = bench::interleave(candidates);
    auto const counted = [&](std::vector<double> all) {  // without the round that is not counted
        all.erase(all.begin());
        return bench::summary(std::move(all));
    };

    bench::report out("chain_threads", argc, argv);
    out.add({.name = "prefetch_ns", .value = bench::summary(found[0]), .unit = "ns/item", .goal = bench::at_most(25)});
    out.add({.name = "prefetch_cpu_ns", .value = counted(prefetch_cpu), .unit = "ns/item"});
    out.add({.name = "parallel_map_ns", .value = bench::summary(found[1]), .unit = "ns/item", .goal = bench::at_most(250)});
    out.add({.name = "parallel_map_cpu_ns", .value = counted(trivial_cpu), .unit = "ns/item"});
    out.add({.name = "parallel_map_scaling", .value = bench::ratio(found[3], found[2]), .unit = "x", .vs = "two bare threads", .goal = bench::at_least(0.97)});
    out.add({.name = "parallel_map_20us", .value = bench::summary(found[2]) * (1e6 / static_cast<double>(heavy)), .unit = "us/item"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "chain_threads: %s\n", e.what());
        return 1;
    }
}
