#include <penstock/stages/chain.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>

#include <cstdint>
#include <limits>
#include <optional>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("chain: stage contract", "[unit][chain]") {
    test::battery(test::stage_case{
        .name = "chain(three items, source, two items)",
        .make = [](auto src) {
            auto before = test::beside(src, 3), after = test::beside(src, 2);
            return ps::chain(std::move(before), ps::named("middle", std::move(src)), std::move(after));
        },
        .model = [](std::vector<int> in, test::facts const& f) {
            auto out = test::beside_model(3, f.epoch.index);
            out.insert(out.end(), in.begin(), in.end());
            auto const last = test::beside_model(2, f.epoch.index);
            out.insert(out.end(), last.begin(), last.end());
            return out;
        },
    });
}

TEST_CASE("chain: stage contract as a stage, at both ends", "[unit][chain]") {
    test::battery(test::stage_case{
        .name = "source | chain(one item)",
        .make = [](auto src) {
            auto after = test::beside(src, 1);
            return std::move(src) | ps::chain(std::move(after));
        },
        .model = [](std::vector<int> in, test::facts const& f) {
            in.push_back(test::beside_model(1, f.epoch.index)[0]);
            return in;
        },
    });
}

TEST_CASE("chain: the example", "[unit][chain]") {
    using namespace ps;
    auto p =
    // example-begin chain
    chain(range(2), from_vector<std::int64_t>({7, 8}))    // 0 1 7 8
    // example-end
    ;
    auto const got = std::move(p) | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 7, 8});
}

TEST_CASE("chain: the later source is not pulled before the earlier one has ended", "[unit][chain]") {
    test::ints a{.n = 3}, b{.n = 2};
    auto p = ps::chain(test::by_ref(a), test::by_ref(b)) | ps::take(3);
    while (p.next()) {}
    CHECK(a.pulls == 3);
    CHECK(b.pulls == 0);
}

TEST_CASE("chain: empty sources, and one of them alone, are passed", "[unit][chain]") {
    CHECK((ps::chain(ps::range(0), ps::range(0), ps::range(2), ps::range(0)) | ps::collect()) == std::vector<std::int64_t>{0, 1});
    CHECK((ps::chain(ps::range(0), ps::range(0)) | ps::collect()).empty());
}

TEST_CASE("chain: world_max is the sum, hint the rest", "[unit][chain]") {
    auto p = ps::chain(test::keyed_source(10, {1, 3}), test::keyed_source(5, {1, 3}));
    CHECK(p.world_max() == 4u + 2u);
    CHECK(p.hint() == ps::size_hint{3 + 2, 3 + 2});
    CHECK(p.next());
    CHECK(p.hint() == ps::size_hint{4, 4});
    CHECK(p.world_max() == 6u);
}

TEST_CASE("chain: a batch tells which source it came through, nested ones with the path", "[unit][chain]") {
    auto batches = [](int n) { return ps::range(n) | ps::batch(2); };
    auto p = ps::chain(ps::named("old", batches(2)), ps::named("new", ps::chain(ps::named("a", batches(2)), batches(1))));
    CHECK(p.next()->source == "old");
    CHECK(p.next()->source == "new/a");
    CHECK(p.next()->source == "new/1");
    CHECK_FALSE(p.next());
    std::vector<std::string> each;
    auto f = [&](auto&& b) { return each.push_back(b.source), true; };
    p.reset(0, 1);
    p.for_each_while(f);
    CHECK(each == std::vector<std::string>{"old", "new/a", "new/1"});
}

TEST_CASE("chain: what both sources dropped at their ends is handed on", "[unit][chain]") {
    auto small = [](int i) { return i % 10000 < 2; };
    auto p = ps::chain(test::keyed_source(5) | ps::filter(small), test::keyed_source(4) | ps::filter(small));
    std::uint64_t delivered = 0;
    while (auto item = p.next()) delivered += item->cover.count();
    CHECK(delivered == 4);
    CHECK(p.trailing().count() == 3 + 2);
    CHECK(p.trailing().empty());
}

TEST_CASE("chain: another number of sources and another name are named", "[unit][chain]") {
    auto const saved = ps::chain(ps::range(3), ps::range(3)).save();
    auto three = ps::chain(ps::range(3), ps::range(3), ps::range(3));
    CHECK(test::error_of<ps::state_error>([&] { return three.load(saved), 0; }).find("saved in source 0 of 2, this one has 3\n  HINT: ") != std::string::npos);
    auto other = ps::chain(ps::range(3), ps::named("b", ps::range(3)));
    CHECK(test::error_of<ps::state_error>([&] { return other.load(saved), 0; }).find("1/range#0 where the chain has b/range") != std::string::npos);
}

TEST_CASE("chain: more items than a number holds are not few", "[unit][chain]") {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    auto const all = [] { return ps::chain(ps::range(most), ps::range(most), ps::from_vector<std::int64_t>({7, 8, 9})); };
    CHECK(all().hint() == ps::size_hint{~std::uint64_t{0}, std::nullopt});
    CHECK(all().facts().world_max == std::nullopt);
    auto batches = all() | ps::batch(2);  // 2^64 + 1 items are not one batch
    CHECK(batches.hint() == ps::size_hint{std::uint64_t{1} << 63, std::nullopt});
    CHECK(batches.next()->items.size() == 2);
}
