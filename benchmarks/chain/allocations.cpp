// Does a stage allocate per item? Calls of operator new while a chain runs in steady state over integers, per item, by an operator new that counts.
// One row per stage, and allocations_per_item, the most of them. batch makes one vector per batch, which its items are in: a row of its own.
#include <support/allocations.hpp>
#include <support/bench.hpp>

#include <penstock/penstock.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

using number = std::int64_t;
constexpr number before = 50'000, counted = 100'000, length = 1'000'000;

/// Calls of operator new per item pulled by next(), once `before` items have passed.
double by_next(auto chain) {
    for (number i = 0; i != before; ++i) (void)chain.next();
    auto const from = ps::test::allocations();
    for (number i = 0; i != counted; ++i)
        if (!chain.next()) throw std::runtime_error("the chain ended before its steady state was measured");
    return static_cast<double>(ps::test::allocations() - from) / static_cast<double>(counted);
}

/// The same through the inner iteration.
double by_for_each(auto chain) {
    number i = 0;
    std::uint64_t from = 0;
    auto g = [&](auto&& item) {
        bench::keep(item);
        if (++i == before) from = ps::test::allocations();
        return i != before + counted;
    };
    if (chain.for_each_while(g)) throw std::runtime_error("the chain ended before its steady state was measured");
    return static_cast<double>(ps::test::allocations() - from) / static_cast<double>(counted);
}

void measure(int argc, char** argv) {
    bench::report out("chain_allocations", argc, argv);
    double most = 0;
    auto const stage = [&](std::string name, auto build) {
        auto const found = (std::max)(by_next(ps::range(length) | build()), by_for_each(ps::range(length) | build()));
        most = (std::max)(most, found);
        out.add({.name = "allocations_" + name, .value = found, .unit = "calls/item", .goal = bench::at_most(0)});
    };
    auto const odd = [](number x) { return x % 2 != 0; };
    stage("map", [] { return ps::map([](number x) { return x + 1; }); });
    stage("map_capturing", [] { return ps::map([by = std::make_unique<number>(3)](number x) { return x * *by; }); });
    stage("filter", [=] { return ps::filter(odd); });
    stage("take", [] { return ps::take(length - 1); });
    stage("inspect", [] { return ps::inspect([](number const&) {}); });
    stage("shuffle", [] { return ps::shuffle(1'000); });
    stage("map_filter_shuffle", [=] { return ps::map([](number x) { return x + 1; }) | ps::filter(odd) | ps::shuffle(1'000) | ps::filter([](number x) { return x % 3 != 0; }); });
    out.add({.name = "allocations_per_item", .value = most, .unit = "calls/item", .goal = bench::at_most(0)});

    auto batches = ps::range(length) | ps::batch(64);
    for (int i = 0; i != 1'000; ++i) (void)batches.next();
    auto const from = ps::test::allocations();
    for (int i = 0; i != 10'000; ++i) (void)batches.next();
    out.add({.name = "allocations_per_batch", .value = static_cast<double>(ps::test::allocations() - from) / 10'000, .unit = "calls/batch"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "chain_allocations: %s\n", e.what());
        return 1;
    }
}
