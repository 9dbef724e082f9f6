#include <penstock/core/pipeline.hpp>

#include <support/sources.hpp>

#include <ranges>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

static_assert(std::ranges::input_range<decltype(test::source_of({}))>);
static_assert(!std::copy_constructible<decltype(test::source_of({}))>);
static_assert(ps::source<decltype(test::source_of({}))>);

TEST_CASE("pipeline: take(k) takes exactly k, the next loop goes on", "[unit][pipeline]") {
    auto const log = std::make_shared<test::probe>();
    auto p = test::counting_source(6, log);
    std::vector<int> got;
    for (int i : p | std::views::take(2)) got.push_back(i);
    CHECK(log->pulls == 2);
    for (int i : p | std::views::take(0)) got.push_back(i);
    CHECK(log->pulls == 2);
    for (int i : p) got.push_back(i);
    CHECK(got == std::vector{0, 1, 2, 3, 4, 5});
}

TEST_CASE("pipeline: next() after a comparison in mid-run hands out what it pulled, and not what was read", "[unit][pipeline]") {
    auto p = test::source_of({.n = 5});
    CHECK(p.next() == 0);
    CHECK(p.begin() != p.end());  // pulls 1
    CHECK(p.next() == 1);
    CHECK(p.next() == 2);
    CHECK(*p.begin() == 3);
    CHECK(p.next() == 4);
    CHECK_FALSE(p.next());
}

TEST_CASE("pipeline: an item that was read in a loop that broke off is delivered, the next loop goes on after it", "[unit][pipeline]") {
    auto p = test::source_of({.n = 5});
    for (int i : p)
        if (i == 1) break;
    CHECK(p.hint() == ps::size_hint{3, 3});
    CHECK(p.next() == 2);
    for (int i : p) {
        CHECK(i == 3);
        break;
    }
    auto rest = std::vector<int>();
    for (int i : p) rest.push_back(i);
    CHECK(rest == std::vector{4});
}

TEST_CASE("pipeline: an item that a comparison pulled and nobody read is still there", "[unit][pipeline]") {
    auto p = test::source_of({.n = 2});
    CHECK_FALSE(p.begin() == p.end());
    CHECK(p.hint() == ps::size_hint{2, 2});
    auto const refused = test::error_of<ps::state_error>([&] { return p.save(); });
    CHECK(refused.find("not read yet\n  HINT: ") != refused.npos);
    CHECK(p.next() == 0);
    CHECK_FALSE(p.begin() == p.end());
    int seen = 0;
    auto f = [&](int i) { return seen += 10 + i, true; };
    CHECK(p.for_each_while(f));
    CHECK(seen == 11);
    CHECK(p.begin() == p.end());
}

TEST_CASE("pipeline: saved inside a loop and after it", "[unit][pipeline]") {
    auto p = test::source_of({.n = 4});
    ps::state inside;
    for (int i : p)
        if (i == 1) {
            inside = p.save();
            break;
        }
    auto const after = p.save();
    CHECK(inside == after);
    auto q = test::source_of({.n = 4});
    q.load(inside);
    CHECK(q.next() == 2);
    for (int i : p) (void)i;
    auto e = test::source_of({.n = 4});
    e.load(p.save());
    CHECK_FALSE(e.next());
}

TEST_CASE("pipeline: load forgets what was looked at, restores the epoch and needs no reset", "[unit][pipeline]") {
    auto p = test::source_of({.n = 3});
    p.reset(9, 2);
    CHECK(p.next() == 20000);
    auto const saved = p.save();
    auto q = test::source_of({.n = 3});
    CHECK_FALSE(q.begin() == q.end());
    q.load(saved);
    CHECK(q.current() == ps::epoch::of(9, 2));
    CHECK(q.next() == 20001);
    q.load(test::source_of({.n = 3}).save());  // saved before the first pull
    CHECK(q.current() == ps::epoch{});
    CHECK(q.next() == 0);
}

TEST_CASE("pipeline: reset rewinds in the middle of a loop and after the end", "[unit][pipeline]") {
    auto p = test::source_of({.n = 2});
    CHECK_FALSE(p.begin() == p.end());
    p.reset(0, 1);
    CHECK(p.next() == 10000);
    while (p.next()) {}
    CHECK_FALSE(p.next());
    p.reset(0, 0);
    CHECK(p.next() == 0);
}

TEST_CASE("pipeline: an exception in a loop consumes its item", "[unit][pipeline]") {
    auto p = test::throwing_source(3, {1});
    std::vector<int> got;
    auto loop = [&] {
        for (int i : p) got.push_back(i);
    };
    CHECK_THROWS_AS(loop(), ps::stage_error);
    loop();
    CHECK(got == std::vector{0, 2});
}

TEST_CASE("pipeline: for_each_while takes a function written in place", "[unit][pipeline]") {
    std::vector<int> seen;
    CHECK_FALSE(test::source_of({.n = 10}).for_each_while([&](int i) { return seen.push_back(i), i < 2; }));
    CHECK(seen == std::vector{0, 1, 2});
}
