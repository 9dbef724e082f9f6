#include <penstock/stages/take_while.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> below(std::vector<int> in, int limit) {
    in.erase(std::find_if(in.begin(), in.end(), [=](int i) { return i % 10000 >= limit; }), in.end());
    return in;
}
}  // namespace

TEST_CASE("take_while: stage contract, go captures an int", "[unit][take_while]") {
    int const limit = GENERATE(0, 1, 4, 1000);
    test::battery(test::stage_case{
        .name = "take_while(< limit)",
        .make = [limit](auto src) { return std::move(src) | ps::take_while([limit](auto const& i) { return test::number(i) % 10000 < limit; }); },
        .model = [limit](std::vector<int> in) { return below(in, limit); },
        .drops = true,
        .sizes = limit == 0 ? std::vector{0, 7} : std::vector{0, 1, 2, 7, 64},
    });
}

TEST_CASE("take_while: stage contract, go captures a unique_ptr", "[unit][take_while]") {
    test::battery(test::stage_case{
        .name = "take_while(all)",
        .make = [](auto src) { return std::move(src) | ps::take_while([limit = std::make_unique<int>(100)](auto const& i) { return test::number(i) % 10000 < *limit; }); },
        .model = [](std::vector<int> in) { return below(in, 100); },
        .drops = true,
    });
}

TEST_CASE("take_while: the example", "[unit][take_while]") {
    using namespace ps;
    auto got =
    // example-begin take_while
    from_vector({1, 2, 5, 1}) | take_while([](int i) { return i < 4; })    // 1 2
    // example-end
    | collect();
    CHECK(got == std::vector{1, 2});
}

TEST_CASE("take_while: pulls one item more than it delivers, and none after that", "[unit][take_while]") {
    test::ints src{.n = 9};
    auto p = test::by_ref(src) | ps::take_while([](int i) { return i < 3; });
    while (p.next()) {}
    while (p.next()) {}
    CHECK(src.pulls == 4);
    auto f = [](int) { return true; };
    CHECK(p.for_each_while(f));
    CHECK(src.pulls == 4);
}

TEST_CASE("take_while: the item that ended the epoch is in trailing, also after a load", "[unit][take_while]") {
    auto make = [] { return test::keyed_source(6) | ps::take_while([](int i) { return i % 10000 < 2; }); };
    auto p = make();
    while (auto item = p.next()) CHECK(item->cover.count() == 1);
    CHECK(p.hint() == ps::size_hint{0, 0});
    auto q = make();
    q.load(p.save());
    CHECK_FALSE(q.next());
    CHECK(q.trailing().count() == 1);
    CHECK(p.trailing().count() == 1);
    CHECK(p.trailing().empty());
    p.reset(0, 1);
    CHECK(p.next());
    CHECK_FALSE(p.world_max());
}

TEST_CASE("take_while: an exception of go consumes its item and does not end the epoch", "[unit][take_while]") {
    auto p = ps::from_vector({1, 2, 3, 9, 1}) | ps::take_while([](int i) {
                 if (i == 2) throw std::out_of_range("two");
                 return i < 9;
             });
    CHECK(p.next() == 1);
    CHECK_THROWS_AS(p.next(), std::out_of_range);
    CHECK(p.next() == 3);
    CHECK(p.next() == std::nullopt);
}
