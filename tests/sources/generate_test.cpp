#include <penstock/sources/generate.hpp>

#include <penstock/stages/collect.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>

#include <memory>
#include <optional>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
auto const model = [](int n, test::facts const&) { return test::detail::numbers({.n = n}, 0, false); };
}  // namespace

TEST_CASE("generate: source contract", "[unit][generate]") {
    test::battery(test::source_case{
        .name = "generate(f of the number, optional)",
        .make = [](int n, ps::world) { return ps::generate([n](std::uint64_t i) { return i < static_cast<std::uint64_t>(n) ? std::optional(static_cast<int>(i)) : std::nullopt; }); },
        .model = model,
    });
    test::battery(test::source_case{
        .name = "generate(f of the number) | take(n)",
        .make = [](int n, ps::world) { return ps::generate([one = std::make_unique<int>(1)](std::uint64_t i) { return static_cast<int>(i) * *one; }) | ps::take(n); },
        .model = model,
    });
}

TEST_CASE("generate: the example", "[unit][generate]") {
    using namespace ps;
    auto got =
    // example-begin generate
    generate([](std::uint64_t i) { return i * i; }) | take(4)    // 0 1 4 9
    // example-end
    | collect();
    CHECK(got == std::vector<std::uint64_t>{0, 1, 4, 9});
}

TEST_CASE("generate: without the number there is one pass, and nothing to save", "[unit][generate]") {
    int calls = 0;
    auto p = ps::generate([&, state = std::make_unique<int>(0)]() -> std::optional<int> { return ++calls, *state == 3 ? std::nullopt : std::optional((*state)++); });
    STATIC_REQUIRE((!ps::resettable<decltype(p)> && !ps::resumable<decltype(p)>));
    for (int i = 0; i != 3; ++i) CHECK(p.next() == i);
    CHECK_FALSE(p.next());
    CHECK_FALSE(p.next());
    CHECK(calls == 4);  // not asked again after it ended
    int i = 0;
    auto endless = ps::generate([&] { return i++; });
    CHECK((std::move(endless) | ps::take(3) | ps::collect()) == std::vector{0, 1, 2});
    CHECK(i == 3);
}

TEST_CASE("generate: a call that throws consumes its number; discarding does not call", "[unit][generate]") {
    int calls = 0;
    auto make = [&] { return ps::generate([&](std::uint64_t i) { return ++calls, i == 1 ? throw std::runtime_error("one") : i; }); };
    auto p = make();
    CHECK(p.next() == 0u);
    CHECK_THROWS_WITH(p.next(), "one");
    CHECK(p.next() == 2u);
    CHECK(ps::discard(p.inner()));
    CHECK(calls == 3);
    CHECK(p.next() == 4u);
    auto each = make();
    auto all = [](std::uint64_t i) { return i != 3; };
    CHECK_THROWS_WITH(each.for_each_while(all), "one");
    CHECK_FALSE(each.for_each_while(all));
    CHECK(each.next() == 4u);
    auto only_moves = ps::generate([](std::uint64_t i) { return test::move_only(static_cast<int>(i)); });
    CHECK(only_moves.next()->number() == 0);
}
