// What does a chain cost against the same one in Rust? map|filter|map|filter and sixteen such stages over 10 M integers, CPU time per integer:
// fold() beside Iterator::fold, a loop over next() beside `for`; std::views and range-v3 beside both. A filter keeps most items, in patterns that
// a branch predictor learns in either language, and no map is an affine function of the index: LLVM, but not GCC, turns such chains into
// additions and drops a filter by parity altogether, which says nothing about the library; one row shows it.
#include <support/bench.hpp>
#include <support/rivals.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/fold.hpp>
#include <penstock/stages/map.hpp>

#if __has_include(<range/v3/view.hpp>)
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/transform.hpp>
#define PENSTOCK_HAS_RANGE_V3 1
#endif

#include <cstdint>
#include <cstdio>
#include <exception>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

using number = std::int64_t;
constexpr number items = 10'000'000;

template <int K>
constexpr auto mixed = [](number x) { return x ^ (x >> K); };
template <int K>
constexpr auto added = [](number x) { return x + (x >> K); };
template <number Mask, number Not>
constexpr auto most = [](number x) { return (x & Mask) != Not; };

// one list of stages for the three libraries of C++; chain.rs is the fourth
#define PENSTOCK_FOUR(map, filter) map(mixed<3>) | filter(most<7, 5>) | map(added<2>) | filter(most<15, 9>)
#define PENSTOCK_SIXTEEN(map, filter)                                                                                           \
    PENSTOCK_FOUR(map, filter) | map(mixed<5>) | filter(most<15, 3>) | map(added<4>) | filter(most<31, 17>) | map(mixed<7>) |    \
        filter(most<31, 30>) | map(added<6>) | filter(most<63, 41>) | map(mixed<9>) | filter(most<63, 5>) | map(added<8>) |      \
        filter(most<127, 77>)
#define PENSTOCK_AFFINE(map, filter)                                                                                   \
    map([](number x) { return x * 3 + 1; }) | filter([](number x) { return (x & 1) == 0; }) |                           \
        map([](number x) { return x ^ 0x55; }) | filter([](number x) { return (x & 6) != 0; })

auto chain4(number n) { return ps::range(n) | PENSTOCK_FOUR(ps::map, ps::filter); }
auto chain16(number n) { return ps::range(n) | PENSTOCK_SIXTEEN(ps::map, ps::filter); }
auto affine4(number n) { return ps::range(n) | PENSTOCK_AFFINE(ps::map, ps::filter); }

number fold(auto chain) { return std::move(chain) | ps::fold(number{0}, [](number a, number b) { return a + b; }); }
number by_next(auto chain) {
    number total = 0;
    while (auto x = chain.next()) total += *x;
    return total;
}
number by_for(auto&& range) {
    number total = 0;
    for (auto&& x : range) total += x;
    return total;
}

// functions of their own, as those of the Rust library are: n is known to none
using function = number(number);
[[gnu::noipa]] number fold4(number n) { return fold(chain4(n)); }
[[gnu::noipa]] number next4(number n) { return by_next(chain4(n)); }
[[gnu::noipa]] number fold16(number n) { return fold(chain16(n)); }
[[gnu::noipa]] number next16(number n) { return by_next(chain16(n)); }
[[gnu::noipa]] number fold_affine4(number n) { return fold(affine4(n)); }
[[gnu::noipa]] number hand4(number n) {
    number total = 0;
    for (number i = 0; i != n; ++i) {
        auto x = mixed<3>(i);
        if (!most<7, 5>(x)) continue;
        x = added<2>(x);
        if (most<15, 9>(x)) total += x;
    }
    return total;
}
[[gnu::noipa]] number views4(number n) { return by_for(std::views::iota(number{0}, n) | PENSTOCK_FOUR(std::views::transform, std::views::filter)); }
[[gnu::noipa]] number views16(number n) { return by_for(std::views::iota(number{0}, n) | PENSTOCK_SIXTEEN(std::views::transform, std::views::filter)); }
#ifdef PENSTOCK_HAS_RANGE_V3
[[gnu::noipa]] number range_v3_4(number n) { return by_for(ranges::views::iota(number{0}, n) | PENSTOCK_FOUR(ranges::views::transform, ranges::views::filter)); }
[[gnu::noipa]] number range_v3_16(number n) { return by_for(ranges::views::iota(number{0}, n) | PENSTOCK_SIXTEEN(ranges::views::transform, ranges::views::filter)); }
#endif
[[gnu::noipa]] number map4_batch64(number n) {
    auto chain = ps::range(n) | ps::map([](number x) { return x + 1; }) | ps::map([](number x) { return x * 3; }) | ps::map([](number x) { return x ^ 5; }) |
                 ps::map([](number x) { return x - 7; }) | ps::batch(64);
    number total = 0;
    while (auto batch = chain.next()) total += batch->items.front() + static_cast<number>(batch->size());
    return total;
}

struct entry {
    std::string name;
    function* run;
    std::string twin{};  ///< yields the same total
    std::vector<double> ns{};
};

void measure(int argc, char** argv) {
    bench::rust_library const rust(PENSTOCK_BENCHMARKS_DIR "/chain/chain.rs");
    std::vector<entry> all{{"fold4", fold4},
                           {"hand4", hand4, "fold4"},
                           {"next4", next4, "fold4"},
                           {"views4", views4, "fold4"},
                           {"fold16", fold16},
                           {"next16", next16, "fold16"},
                           {"views16", views16, "fold16"},
                           {"fold_affine4", fold_affine4},
                           {"map4_batch64", map4_batch64}};
#ifdef PENSTOCK_HAS_RANGE_V3
    all.push_back({"range_v3_4", range_v3_4, "fold4"});
    all.push_back({"range_v3_16", range_v3_16, "fold16"});
#endif
    if (rust) {
        auto const add = [&](char const* name, std::string twin) { all.push_back({std::string("rust_") + name, rust.function<function>(name), std::move(twin)}); };
        add("fold4", "fold4");
        add("for4", "fold4");
        add("fold16", "fold16");
        add("for16", "fold16");
        add("fold_affine4", "fold_affine4");
    }
    auto const find = [&](std::string const& name) -> entry const& {
        for (auto const& e : all)
            if (e.name == name) return e;
        throw std::logic_error("no entry " + name);
    };
    for (auto const& e : all)
        if (!e.twin.empty() && e.run(items) != find(e.twin).run(items)) throw std::runtime_error(e.name + " and " + e.twin + " do not agree");

    std::vector<bench::candidate> candidates;
    for (auto& e : all)
        candidates.push_back({e.name, [&e] {
                                  constexpr int passes = 3;
                                  auto const spent = bench::measure([&] {
                                      for (int i = 0; i != passes; ++i) bench::keep(e.run(items));
                                  });
                                  return 1e9 * spent.cpu_s / (passes * static_cast<double>(items));
                              }});
    auto const found = bench::interleave(candidates);
    for (std::size_t i = 0; i != all.size(); ++i) all[i].ns = found[i];

    bench::report out("chain_against_rust", argc, argv);
    auto const against = [&](std::string row, std::string const& ours, std::string const& theirs, std::optional<bench::goal> goal) {
        if (rust) out.add({.name = std::move(row), .value = bench::ratio(find(ours).ns, find(theirs).ns), .unit = "x", .vs = theirs, .goal = goal});
        else out.add({.name = std::move(row), .unit = "x", .vs = theirs, .goal = goal, .reason = rust.reason()});
    };
    against("fold4_over_rust", "fold4", "rust_fold4", bench::at_most(1.03));
    against("fold16_over_rust", "fold16", "rust_fold16", bench::at_most(1.03));
    against("next4_over_rust_for", "next4", "rust_for4", bench::at_most(1.05));
    against("next16_over_rust_for", "next16", "rust_for16", bench::at_most(1.05));
    against("fold_affine4_over_rust", "fold_affine4", "rust_fold_affine4", std::nullopt);
    out.add({.name = "fold4_over_hand", .value = bench::ratio(find("fold4").ns, find("hand4").ns), .unit = "x", .vs = "hand4"});
    out.add({.name = "map4_batch64_ns", .value = bench::summary(find("map4_batch64").ns), .unit = "ns/item", .goal = bench::at_most(1.0)});
    for (auto const& e : all)
        if (e.name != "map4_batch64") out.add({.name = e.name + "_ns", .value = bench::summary(e.ns), .unit = "ns/item"});
#ifndef PENSTOCK_HAS_RANGE_V3
    for (auto const* name : {"range_v3_4_ns", "range_v3_16_ns"}) out.add({.name = name, .unit = "ns/item", .reason = "range-v3 is missing: apt install librange-v3-dev"});
#endif
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "chain_against_rust: %s\n", e.what());
        return 1;
    }
}
