#include <penstock/stages/map.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("map: stage contract, f captures an int", "[unit][map]") {
    int const plus = 5;
    test::battery(test::stage_case{
        .name = "map(+5)",
        .make = [plus](auto src) { return std::move(src) | ps::map([plus](auto const& i) { return test::number(i) + plus; }); },
        .model = [plus](std::vector<int> in) {
            for (auto& i : in) i += plus;
            return in;
        },
    });
}

TEST_CASE("map: stage contract, f captures a unique_ptr and hands the item on", "[unit][map]") {
    test::battery(test::stage_case{
        .name = "map(same)",
        .make = [](auto src) { return std::move(src) | ps::map([kept = std::make_unique<int>(1)](auto item) { return item; }); },
        .model = [](std::vector<int> in) { return in; },
    });
}

TEST_CASE("map: the example", "[unit][map]") {
    using namespace ps;
    auto got =
    // example-begin map
    from_vector({1, 2, 3}) | map([](int i) { return i * i; })    // 1 4 9
    // example-end
    | collect();
    CHECK(got == std::vector{1, 4, 9});
}

TEST_CASE("map: keeps the identity of a keyed item", "[unit][map]") {
    auto p = test::keyed_source(4, {1, 2}) | ps::map([](int i) { return "<" + std::to_string(i) + ">"; });
    CHECK(p.world_max() == 2u);
    auto const item = p.next();
    REQUIRE(item);
    CHECK(item->value == "<2>");
    CHECK(item->id == 2);
    CHECK(item->key == "k2");
    CHECK(item->weight == 1);
    CHECK(item->cover.count() == 1);
}

TEST_CASE("map: an exception of f arrives as it is and consumes its item", "[unit][map]") {
    auto p = ps::from_vector({1, 2, 3}) | ps::map([](int i) {
                 if (i == 2) throw std::out_of_range("two");
                 return i;
             });
    CHECK(p.next() == 1);
    CHECK_THROWS_AS(p.next(), std::out_of_range);
    CHECK(p.next() == 3);
    CHECK(p.next() == std::nullopt);
}

namespace {
/// Over a source that counts runs on its own, and over one that does not.
template <class Source>
void by_runs(Source make) {
    for (int n = 0; n <= 7; ++n) {
        auto p = make() | ps::map([](auto i) {
                     if (i == 2) throw std::out_of_range("two");
                     return static_cast<int>(i) * 10;
                 });
        p.reset(0, 0);
        std::vector<int> got;
        auto keep = [&](int i) { got.push_back(i); };
        auto const run = [&] { return ps::for_each_n(p.inner(), static_cast<std::uint64_t>(n), keep); };
        if (n > 2) CHECK_THROWS_AS(run(), std::out_of_range);
        else CHECK_FALSE(run());
        auto const next = static_cast<std::size_t>(n > 2 ? 3 : n);
        CHECK(got.size() == (std::min)(next, std::size_t{2}));
        if (n <= 2) continue;
        CHECK(run());  // two are left
        CHECK(got == std::vector{0, 10, 30, 40});
    }
}
}  // namespace

TEST_CASE("map: items that are taken in runs are those of next(), and a failure consumes its item", "[unit][map]") {
    by_runs([] { return ps::range(5); });
    by_runs([] { return ps::from_vector({0, 1, 2, 3, 4}); });
}

TEST_CASE("map: a batch over it goes on behind an item that failed, wherever that is", "[unit][map]") {
    for (int bad = 0; bad != 10; ++bad) {
        auto make = [=] {
            return ps::range(10) | ps::map([=](auto i) {
                       if (i == bad) throw std::out_of_range("bad");
                       return static_cast<int>(i);
                   }) | ps::batch(4);
        };
        auto p = make();
        std::vector<int> got;
        int failures = 0;
        for (bool more = true; more;) try {
                auto q = make();
                q.load(p.save());
                auto const batch = p.next();
                auto const twin = q.next();
                REQUIRE(batch.has_value() == twin.has_value());
                more = batch.has_value();
                if (batch) CHECK(batch->items == twin->items);
                if (batch) got.insert(got.end(), batch->items.begin(), batch->items.end());
            } catch (std::out_of_range const&) {
                ++failures;
            }
        CHECK(failures == 1);
        std::vector<int> expected;
        for (int i = 0; i != 10; ++i)
            if (i != bad) expected.push_back(i);
        CHECK(got == expected);
    }
}

TEST_CASE("map: calls f once per delivered item, and never for one that is passed over", "[unit][map]") {
    int calls = 0;
    auto p = ps::from_vector({1, 2, 3}) | ps::map([&calls](int i) { return ++calls, i; });
    CHECK(calls == 0);
    p.reset(0, 0);
    CHECK(ps::discard(p.inner()));
    CHECK(calls == 0);
    CHECK(p.next() == 2);
    CHECK(calls == 1);
    for (auto& i : p) CHECK(i == 3);
    CHECK(calls == 2);
}

TEST_CASE("map: a chain with a function that only moves is used once, one that copies is used again", "[unit][map]") {
    auto twice = ps::map([](int i) { return 2 * i; }) | ps::map([](int i) { return i + 1; });
    CHECK((ps::from_vector({1}) | twice | ps::collect()) == std::vector{3});
    CHECK((ps::from_vector({5}) | twice | ps::collect()) == std::vector{11});
    auto once = ps::map([p = std::make_unique<int>(7)](int i) { return i + *p; });
    CHECK((ps::from_vector({1}) | std::move(once) | ps::collect()) == std::vector{8});
}
