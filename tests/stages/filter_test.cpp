#include <penstock/stages/filter.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
constexpr auto even = [](auto const& i) { return test::number(i) % 2 == 0; };
std::vector<int> even_ones(std::vector<int> in) {
    std::erase_if(in, [](int i) { return i % 2 != 0; });
    return in;
}
}  // namespace

TEST_CASE("filter: stage contract", "[unit][filter]") {
    test::battery(test::stage_case{.name = "filter(even)", .make = [](auto src) { return std::move(src) | ps::filter(even); }, .model = even_ones});
}

TEST_CASE("filter: stage contract where nothing passes", "[unit][filter]") {
    test::battery(test::stage_case{
        .name = "filter(none)",
        .make = [](auto src) { return std::move(src) | ps::filter([](auto const&) { return false; }); },
        .model = [](std::vector<int> in) { return in.clear(), in; },
    });
}

TEST_CASE("filter: the example", "[unit][filter]") {
    using namespace ps;
    auto got =
    // example-begin filter
    range(6) | filter([](auto i) { return i % 2 == 0; })    // 0 2 4
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 2, 4});
}

TEST_CASE("filter: the next item stands for the dropped ones, and trailing for the last", "[unit][filter]") {
    auto p = test::keyed_source(6) | ps::filter([](int i) { return i == 2 || i == 3; });
    auto item = p.next();
    REQUIRE(item);
    CHECK(item->cover.count() == 3);
    CHECK(p.next()->cover.count() == 1);
    CHECK_FALSE(p.next());
    auto const left = p.trailing();
    CHECK(left.count() == 2);
    left.each([](ps::interval i) { CHECK(i == ps::interval{4, 6}); });
    CHECK(p.trailing().empty());
}

TEST_CASE("filter: covers that wait are saved and forgotten by reset", "[unit][filter]") {
    auto make = [] { return test::keyed_source(6, {}, {2}) | ps::filter([](int i) { return i % 10 == 4; }); };
    auto p = make();
    CHECK_THROWS_AS(p.next(), ps::stage_error);  // 0 and 1 wait
    auto q = make();
    q.load(p.save());
    CHECK(p.next()->cover.count() == 4);
    CHECK(q.next()->cover.count() == 4);
    CHECK_FALSE(q.next());
    q.reset(0, 1);
    CHECK_THROWS_AS(q.next(), ps::stage_error);
    q.reset(0, 0);
    CHECK_THROWS_AS(q.next(), ps::stage_error);
    CHECK(q.next()->cover.count() == 4);
}

TEST_CASE("filter: the number of items is unknown from here on", "[unit][filter]") {
    auto p = test::keyed_source(6) | ps::filter([](int) { return true; });
    CHECK_FALSE(p.world_max());
    CHECK(p.hint() == ps::size_hint{0, 6});
}
