#include <penstock/ranges/as_view.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <range/v3/range/concepts.hpp>
#include <range/v3/range/conversion.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <concepts>
#include <cstdint>
#include <ranges>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace rv = ranges::views;
namespace test = penstock::test;

using view = decltype(ps::range(1) | ps::as_view());
static_assert(ranges::input_range<view> && ranges::view_<view> && ranges::input_range<view const>);
static_assert(std::ranges::input_range<view> && std::ranges::view<view>);
static_assert(!ranges::forward_range<view> && !std::ranges::forward_range<view> && !std::ranges::borrowed_range<view>);
static_assert(std::semiregular<view>);

TEST_CASE("as_view: the example", "[unit][as_view]") {
    using namespace ps;
    auto got =
    // example-begin as_view
    range(4) | as_view() | ranges::views::chunk(2) | ranges::to<std::vector<std::vector<std::int64_t>>>()    // {{0, 1}, {2, 3}}
    // example-end
    ;
    CHECK(got == std::vector<std::vector<std::int64_t>>{{0, 1}, {2, 3}});
}

TEST_CASE("as_view: an rvalue goes through both libraries, and outlives the function that made it", "[unit][as_view]") {
    auto made = [] { return ps::as_view(ps::range(10) | ps::map([](auto i) { return 2 * i; })) | rv::filter([](auto i) { return i % 3 == 0; }); };
    CHECK((made() | ranges::to<std::vector>()) == std::vector<std::int64_t>{0, 6, 12, 18});
    auto stdlib = ps::range(10) | ps::as_view() | std::views::transform([](auto i) { return i * i; }) | std::views::take(3);
    std::vector<std::int64_t> got;
    for (auto i : stdlib) got.push_back(i);
    CHECK(got == std::vector<std::int64_t>{0, 1, 4});
    auto both = ps::range(10) | ps::as_view() | std::views::filter([](auto i) { return i % 2 == 1; });
    CHECK((both | ranges::to<std::vector>()) == std::vector<std::int64_t>{1, 3, 5, 7, 9});
}

TEST_CASE("as_view: copies share one position, and take(k) takes exactly k", "[unit][as_view]") {
    test::ints src{.n = 10};
    auto const v = test::by_ref(src) | ps::as_view();
    auto const copy = v;
    CHECK(src.pulls == 0);
    CHECK((v | rv::take(3) | ranges::to<std::vector>()) == std::vector{0, 1, 2});
    CHECK(src.pulls == 3);
    CHECK((copy | rv::take(2) | ranges::to<std::vector>()) == std::vector{3, 4});
    CHECK(src.pulls == 5);
    CHECK((v | ranges::to<std::vector>()) == std::vector{5, 6, 7, 8, 9});
    CHECK((copy | ranges::to<std::vector>()).empty());
}

TEST_CASE("as_view: the chain behind it is reset, saved and loaded", "[unit][as_view]") {
    auto const v = ps::range(6) | ps::as_view();
    CHECK((v | rv::take(2) | ranges::to<std::vector>()) == std::vector<std::int64_t>{0, 1});
    auto const saved = v.chain().save();
    auto const w = ps::range(6) | ps::as_view();
    w.chain().load(saved);
    CHECK((w | ranges::to<std::vector>()) == std::vector<std::int64_t>{2, 3, 4, 5});
    v.chain().reset(0, 1);
    CHECK((v | rv::take(1) | ranges::to<std::vector>()) == std::vector<std::int64_t>{0});
}

TEST_CASE("as_view: items that only move are moved out", "[unit][as_view]") {
    auto const v = ps::pipeline(test::debug_source<test::as_move_only>({.n = 3})) | ps::as_view();
    std::vector<int> got;
    for (auto&& m : v | rv::transform([](test::move_only& item) { return std::move(item); })) got.push_back(m.number());
    CHECK(got == std::vector{0, 1, 2});
}

TEST_CASE("as_view: an error comes in its place and the next look goes on behind it", "[unit][as_view]") {
    auto const v = test::throwing_source(4, {1}) | ps::as_view();
    std::vector<int> got;
    auto read = [&] {
        for (auto i : v) got.push_back(i);
    };
    CHECK_THROWS_AS(read(), ps::stage_error);
    CHECK(got == std::vector{0});
    read();
    CHECK(got == std::vector{0, 2, 3});
}

TEST_CASE("as_view: a view without a pipeline says so, and can be assigned one", "[unit][as_view]") {
    view v;
    auto const text = test::error_of<ps::config_error>([&] { return v.begin() == v.end(); });
    CHECK(text.find("made without a pipeline") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    v = ps::as_view(ps::range(2));
    CHECK((v | ranges::to<std::vector>()) == std::vector<std::int64_t>{0, 1});
}
