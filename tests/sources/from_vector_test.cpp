#include <penstock/sources/from_vector.hpp>

#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("from_vector: source contract", "[unit][from_vector]") {
    test::battery(test::source_case{
        .name = "from_vector",
        .make = [](int n, ps::world) { return ps::from_vector(test::detail::numbers({.n = n}, 0, false)); },
        .model = [](int n, test::facts const&) { return test::detail::numbers({.n = n}, 0, false); },
    });
}

TEST_CASE("from_vector: the example", "[unit][from_vector]") {
    using namespace ps;
    auto got =
    // example-begin from_vector
    from_vector({10, 20, 30}) | collect()    // 10 20 30
    // example-end
    ;
    CHECK(got == std::vector{10, 20, 30});
}

TEST_CASE("from_vector: copies elements for every epoch, moves those that cannot be copied once", "[unit][from_vector]") {
    auto p = ps::from_vector(std::vector<std::string>{"a long text that is not stored inside the string", "b"});
    for (std::uint64_t e = 0; e != 2; ++e) {
        p.reset(0, e);
        CHECK(p.next() == "a long text that is not stored inside the string");
        CHECK(p.next() == "b");
        CHECK_FALSE(p.next());
    }
    std::vector<test::move_only> v;
    v.emplace_back(4);
    v.emplace_back(5);
    auto once = ps::from_vector(std::move(v));
    STATIC_REQUIRE(!ps::resettable<decltype(once)>);
    CHECK(once.next()->number() == 4);
    CHECK(ps::discard(once.inner()) == true);
    CHECK_FALSE(once.next());
}

TEST_CASE("from_vector: a state of another vector is named", "[unit][from_vector]") {
    auto other = ps::from_vector({1, 2, 3});
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(ps::from_vector({1}).save()), 0; });
    CHECK(refused.find("saved at 0 of 1, this one has 3") != refused.npos);
}
