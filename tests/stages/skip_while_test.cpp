#include <penstock/stages/skip_while.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> from_limit(std::vector<int> in, int limit) {
    in.erase(in.begin(), std::find_if(in.begin(), in.end(), [=](int i) { return i % 10000 >= limit; }));
    return in;
}
}  // namespace

TEST_CASE("skip_while: stage contract, drop captures an int", "[unit][skip_while]") {
    int const limit = GENERATE(0, 1, 4, 1000);
    test::battery(test::stage_case{
        .name = "skip_while(< limit)",
        .make = [limit](auto src) { return std::move(src) | ps::skip_while([limit](auto const& i) { return test::number(i) % 10000 < limit; }); },
        .model = [limit](std::vector<int> in) { return from_limit(in, limit); },
    });
}

TEST_CASE("skip_while: stage contract, drop captures a unique_ptr", "[unit][skip_while]") {
    test::battery(test::stage_case{
        .name = "skip_while(< 2)",
        .make = [](auto src) { return std::move(src) | ps::skip_while([limit = std::make_unique<int>(2)](auto const& i) { return test::number(i) % 10000 < *limit; }); },
        .model = [](std::vector<int> in) { return from_limit(in, 2); },
    });
}

TEST_CASE("skip_while: the example", "[unit][skip_while]") {
    using namespace ps;
    auto got =
    // example-begin skip_while
    from_vector({1, 2, 5, 1}) | skip_while([](int i) { return i < 4; })    // 5 1
    // example-end
    | collect();
    CHECK(got == std::vector{5, 1});
}

TEST_CASE("skip_while: drop is not asked again, neither after a load nor by for_each_while, but in the next epoch", "[unit][skip_while]") {
    int asked = 0;
    auto make = [&] { return test::keyed_source(6) | ps::skip_while([&](int i) { return ++asked, i % 10000 < 2; }); };
    auto p = make();
    CHECK(p.hint() == ps::size_hint{0, 6});
    CHECK(p.next()->cover.count() == 3);
    CHECK(asked == 3);
    CHECK(p.hint() == ps::size_hint{3, 3});
    auto q = make();
    q.load(p.save());
    CHECK(q.next()->value == 3);
    auto all = [](auto&&) { return true; };
    CHECK(q.for_each_while(all));
    CHECK(asked == 3);
    q.reset(0, 1);
    CHECK(q.for_each_while(all));
    CHECK(asked == 6);
    CHECK_FALSE(p.world_max());
}

TEST_CASE("skip_while: covers that wait are saved; if all are dropped, trailing has them", "[unit][skip_while]") {
    auto make = [] { return test::keyed_source(5, {}, {2}) | ps::skip_while([](int i) { return i < 3; }); };
    auto p = make();
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    auto q = make();
    q.load(p.save());
    CHECK(q.next()->cover.count() == 3);
    auto none = test::keyed_source(5) | ps::skip_while([](int) { return true; });
    CHECK_FALSE(none.next());
    CHECK(none.trailing().count() == 5);
}
