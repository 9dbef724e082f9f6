// Does a stage allocate per item? Calls of operator new while a chain runs in steady state over integers, per item, by an operator new that counts.
// One row per stage, and allocations_per_item, the most of them. A stage whose items are containers makes those: rows of their own, per container.
#include <support/allocations.hpp>
#include <support/bench.hpp>

#include <penstock/penstock.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
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
    /// `make` builds the whole chain; what it yields may be fewer items than `length`.
    auto const chain = [&](std::string name, auto make) {
        auto const found = (std::max)(by_next(make()), by_for_each(make()));
        most = (std::max)(most, found);
        out.add({.name = "allocations_" + name, .value = found, .unit = "calls/item", .goal = bench::at_most(0)});
    };
    auto const stage = [&](std::string name, auto build) { chain(std::move(name), [=] { return ps::range(length) | build(); }); };
    auto const odd = [](number x) { return x % 2 != 0; };
    auto const next = [](number x) { return x + 1; };
    auto const half = [] { return ps::range(length / 2); };
    stage("map", [=] { return ps::map(next); });
    stage("map_capturing", [] { return ps::map([by = std::make_unique<number>(3)](number x) { return x * *by; }); });
    auto const keyed = [] {
        return ps::map([](number x) {
            auto const place = static_cast<std::uint64_t>(x);
            return ps::keyed<number>{.id = place, .pass = 0, .cover = ps::cover::at(place), .key = "a key", .value = x};
        });
    };
    stage("map_keyed", [=] { return keyed() | ps::map_keyed([](ps::keyed<number> const& x) { return x.value + static_cast<number>(x.id); }); });
    stage("keyed_map_take_shuffle", [=] { return keyed() | ps::map(next) | ps::take(length - 1) | ps::shuffle(1'000); });
    stage("filter", [=] { return ps::filter(odd); });
    stage("filter_map", [=] { return ps::filter_map([=](number x) { return odd(x) ? std::optional(next(x)) : std::nullopt; }); });
    stage("flat_map", [] { return ps::flat_map([](number x) { return std::array<number, 2>{x, -x}; }); });
    stage("take", [] { return ps::take(length - 1); });
    stage("take_while", [] { return ps::take_while([](number x) { return x >= 0; }); });
    stage("skip", [] { return ps::skip(100); });
    stage("skip_while", [] { return ps::skip_while([](number x) { return x < 100; }); });
    stage("step_by", [] { return ps::step_by(3); });
    stage("enumerate", [] { return ps::enumerate(); });
    stage("inspect", [] { return ps::inspect([](number const&) {}); });
    stage("scan", [] { return ps::scan(number{0}, [](number& sum, number x) { return sum += x; }); });
    stage("dedup", [] { return ps::dedup(64); });
    stage("shuffle", [] { return ps::shuffle(1'000); });
    stage("cycle", [] { return ps::cycle(2); });
    stage("cycle_of_short_epochs", [=] { return ps::take(50) | ps::cycle(4'000); });
    chain("cache", [] { return ps::range(20'000) | ps::cache({.items = 20'000}) | ps::cycle(50); });
    stage("on_error", [] { return ps::on_error(); });
    stage("watch", [=] { return ps::watch() | ps::map(next); });
    stage("steer", [] { return ps::steer(ps::control<number>("by", 1), [](number by, number x) { return x + by; }); });
    chain("chain", [=] { return ps::chain(half(), half()); });
    chain("zip", [=] { return ps::zip(half(), half()); });
    chain("interleave", [=] { return ps::interleave({}, ps::named("a", 2, half()), ps::named("b", 1, half())); });
    chain("interleave_random", [=] { return ps::interleave({.picks = ps::picks::random}, ps::named("a", 2, half()), ps::named("b", 1, half())); });
    chain("alternate", [=] { return ps::alternate(3, half(), half()); });
    chain("combine", [=] { return ps::combine(ps::combine_mode::sequential, half(), half()); });
    stage("map_filter_shuffle", [=] { return ps::map(next) | ps::filter(odd) | ps::shuffle(1'000) | ps::filter([](number x) { return x % 3 != 0; }); });
    out.add({.name = "allocations_per_item", .value = most, .unit = "calls/item", .goal = bench::at_most(0)});

    auto const container = [&](std::string name, auto build) {
        auto all = ps::range(10 * length) | build();
        for (int i = 0; i != 1'000; ++i) (void)all.next();
        auto const from = ps::test::allocations();
        for (int i = 0; i != 10'000; ++i) (void)all.next();
        out.add({.name = "allocations_per_" + name, .value = static_cast<double>(ps::test::allocations() - from) / 10'000, .unit = "calls/" + name});
    };
    container("batch", [] { return ps::batch(64); });
    container("window", [] { return ps::window(8); });
    container("item_of_unbatch", [] { return ps::batch(64) | ps::unbatch(); });
    container("batch_by_cost", [] { return ps::batch_by_cost(64, [](number) { return 1; }); });
    container("bucket", [] { return ps::bucket_by_length([](number x) { return x % 50; }, {.boundaries = {10, 20}, .budget = 2'000}); });
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
