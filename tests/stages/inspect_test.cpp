#include <penstock/stages/inspect.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/count.hpp>
#include <support/battery.hpp>

#include <iostream>
#include <sstream>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("inspect: stage contract", "[unit][inspect]") {
    test::battery(test::stage_case{
        .name = "inspect",
        .make = [](auto src) { return std::move(src) | ps::inspect([](auto const& i) { (void)test::number(i); }); },
        .model = [](std::vector<int> in) { return in; },
    });
}

TEST_CASE("inspect: the example", "[unit][inspect]") {
    using namespace ps;
    std::ostringstream printed;
    auto* const before = std::cout.rdbuf(printed.rdbuf());
    auto got =
    // example-begin inspect
    range(3) | inspect([](auto i) { std::cout << i; }) | count()    // 3, after printing 012
    // example-end
    ;
    std::cout.rdbuf(before);
    CHECK(got == 3);
    CHECK(printed.str() == "012");
}

TEST_CASE("inspect: sees every item that passes once, and none that is passed over", "[unit][inspect]") {
    std::vector<int> seen;
    auto p = test::keyed_source(4) | ps::inspect([&](int i) { seen.push_back(i); });
    p.reset(0, 0);
    CHECK(ps::discard(p.inner()));
    CHECK(p.next()->id == 1);
    auto rest = std::move(p) | ps::collect();
    CHECK(rest.size() == 2);
    CHECK(seen == std::vector{1, 2, 3});
}

TEST_CASE("inspect: changes no random number", "[unit][inspect]") {
    ps::epoch seen{};
    struct recorder {
        using item_type = int;
        ps::epoch* seen;
        std::optional<int> next() { return std::nullopt; }
        void reset(ps::epoch e) { *seen = e; }
    };
    auto p = ps::pipeline(recorder{&seen}) | ps::inspect([](int) {});
    p.reset(3, 4);
    CHECK(seen == ps::epoch::of(3, 4));
}
