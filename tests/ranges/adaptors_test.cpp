// A pipeline by itself under the adaptors of both libraries: what works, what each consumes, and that the next loop goes on there.
#include <penstock/core/pipeline.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <range/v3/algorithm/equal.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/range/conversion.hpp>
#include <range/v3/view/cache1.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/enumerate.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/join.hpp>
#include <range/v3/view/move.hpp>
#include <range/v3/view/repeat_n.hpp>
#include <range/v3/view/stride.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>
#include <range/v3/view/zip.hpp>

#include <cstdint>
#include <memory>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace rv = ranges::views;
namespace sv = std::views;
namespace test = penstock::test;

namespace {

using numbers = std::vector<std::int64_t>;
using chain = decltype(ps::range(1) | ps::map([](auto i) { return i; }));
static_assert(std::ranges::input_range<chain> && !std::ranges::forward_range<chain> && !std::ranges::view<chain>);
// A temporary is owned by std's views if its stages can be assigned, which capturing lambdas cannot; never by range-v3's. as_view() serves both.
static_assert(std::ranges::viewable_range<chain&> && std::ranges::viewable_range<chain>);
static_assert(!std::ranges::viewable_range<decltype(ps::range(1) | ps::map([plus = 1](auto i) { return i + plus; }))>);
static_assert(ranges::viewable_range<chain&> && !ranges::viewable_range<chain>);
static_assert(ranges::input_range<chain&> && !ranges::forward_range<chain&>);

auto const odd = [](auto i) { return i % 2 != 0; };
auto const twice = [](auto i) { return 2 * i; };

/// What is left, by the library's own loop.
template <class P>
numbers rest(P& p) {
    numbers all;
    for (auto& i : p) all.push_back(i);
    return all;
}

}  // namespace

TEST_CASE("range-v3: filter, transform, enumerate, zip, stride, chunk, move, cache1 | join, to", "[unit][ranges]") {
    auto ten = [] { return ps::range(10) | ps::filter([](auto i) { return i >= 0; }); };
    auto p = ten();
    CHECK((p | rv::filter(odd) | rv::transform(twice) | ranges::to<std::vector>()) == numbers{2, 6, 10, 14, 18});
    p.reset(0, 0);
    CHECK((p | rv::stride(4) | ranges::to<std::vector>()) == numbers{0, 4, 8});
    p.reset(0, 0);
    CHECK((p | rv::chunk(4) | rv::transform(ranges::to<std::vector>()) | ranges::to<std::vector>()) == std::vector<numbers>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}});
    p.reset(0, 0);
    std::int64_t counted = 0;
    for (auto&& [index, item] : p | rv::enumerate) counted += (static_cast<std::int64_t>(index) == item);
    CHECK(counted == 10);
    p.reset(0, 0);
    auto q = ten();
    std::int64_t sum = 0;
    for (auto&& [a, b] : rv::zip(p, q)) sum += a * b;
    CHECK(sum == 285);
    p.reset(0, 0);
    CHECK((p | rv::transform([](auto i) { return rv::repeat_n(i, i % 3); }) | rv::cache1 | rv::join | ranges::to<std::vector>()) == numbers{1, 2, 2, 4, 5, 5, 7, 8, 8});
    p.reset(0, 0);
    CHECK((p | ranges::to<std::set>()).size() == 10);
    p.reset(0, 0);
    CHECK(ranges::equal(p, rv::iota(0, 10)));

    auto owners = ps::range(3) | ps::map([](auto i) { return std::make_unique<std::int64_t>(i); });
    std::vector<std::unique_ptr<std::int64_t>> kept;
    for (auto&& owner : owners | rv::move) kept.push_back(std::move(owner));
    REQUIRE(kept.size() == 3);
    CHECK(*kept[2] == 2);
}

TEST_CASE("std::views: filter, transform, take, drop, take_while, join, elements", "[unit][ranges]") {
    auto p = ps::range(10) | ps::map([](auto i) { return i; });
    numbers got;
    for (auto i : p | sv::filter(odd) | sv::transform(twice) | sv::take(2)) got.push_back(i);
    CHECK(got == numbers{2, 6});
    p.reset(0, 0);
    got.clear();
    for (auto i : p | sv::drop(3) | sv::take_while([](auto x) { return x < 6; })) got.push_back(i);
    CHECK(got == numbers{3, 4, 5});
    got.clear();
    for (auto i : ps::range(3) | ps::map(twice) | sv::transform(twice)) got.push_back(i);  // owned by the view
    CHECK(got == numbers{0, 4, 8});
    auto lists = ps::from_vector<numbers>({{1, 2}, {}, {3}});
    got.clear();
    for (auto i : lists | sv::join) got.push_back(i);
    CHECK(got == numbers{1, 2, 3});
    auto pairs = ps::range(3) | ps::map([](auto i) { return std::pair(i, i * i); });
    got.clear();
    for (auto i : pairs | sv::values) got.push_back(i);
    CHECK(got == numbers{0, 1, 4});
}

TEST_CASE("ranges: take(k) consumes exactly k in both libraries, and the loop after it goes on there", "[unit][ranges]") {
    for (int k = 0; k <= 6; ++k) {
        test::ints a{.n = 5}, b{.n = 5};
        auto p = test::by_ref(a), q = test::by_ref(b);
        int first = 0, second = 0;
        for (auto i : p | rv::take(k)) first += i + 1;
        for (auto i : q | sv::take(k)) second += i + 1;
        int const all = (std::min)(k, 5);
        CHECK(first == all * (all + 1) / 2);
        CHECK(second == first);
        CHECK(a.pulls == static_cast<std::uint64_t>(k));
        CHECK(b.pulls == static_cast<std::uint64_t>(k));
        numbers tail, wanted;
        for (int i = all; i != 5; ++i) wanted.push_back(i);
        for (auto i : p) tail.push_back(i);
        CHECK(tail == wanted);
        if (k < 5) CHECK(q.next() == k);
    }
}

TEST_CASE("ranges: the position after a view that stopped is the position that is saved", "[unit][ranges]") {
    auto make = [] { return ps::range(40) | ps::map(twice) | ps::shuffle(5); };
    auto p = make();
    p.reset(7, 0);
    auto const head = p | rv::take(13) | ranges::to<std::vector>();
    auto q = make();
    q.load(p.save());
    CHECK(rest(q) == rest(p));
    CHECK(head.size() == 13);
    // a comparison that pulled an item which nobody read: next() still has it, and save() refuses to lose it
    auto r = make();
    CHECK(r.begin() != r.end());
    CHECK_THROWS_AS(r.save(), ps::state_error);
    CHECK(rest(r).size() == 40);
}

TEST_CASE("ranges: a view calls a function for every look, a stage once", "[unit][ranges]") {
    int views = 0, stages = 0;
    auto p = ps::range(10);
    auto in_views = p | rv::transform([&](auto i) { return ++views, i; }) | rv::filter(odd);
    for (auto i : in_views) (void)i;
    auto q = ps::range(10) | ps::map([&](auto i) { return ++stages, i; }) | ps::filter(odd);
    for (auto i : q) (void)i;
    CHECK(stages == 10);
    CHECK(views == 15);
}
