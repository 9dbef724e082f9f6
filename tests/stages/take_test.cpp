#include <penstock/stages/take.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> first_three(std::vector<int> in) {
    in.resize(std::min<std::size_t>(in.size(), 3));
    return in;
}
}  // namespace

TEST_CASE("take: stage contract", "[unit][take]") {
    test::battery(test::stage_case{.name = "take(3)", .make = [](auto src) { return std::move(src) | ps::take(3); }, .model = first_three, .drops = true});
}

TEST_CASE("take: the example", "[unit][take]") {
    using namespace ps;
    auto got =
    // example-begin take
    from_vector({10, 20, 30}) | take(2)    // 10 20
    // example-end
    | collect();
    CHECK(got == std::vector{10, 20});
}

TEST_CASE("take: pulls exactly n", "[unit][take]") {
    auto const n = GENERATE(0, 1, 3);
    test::ints src{.n = 5};
    auto p = test::by_ref(src) | ps::take(n);
    while (p.next()) {}
    while (p.next()) {}
    CHECK(src.pulls == static_cast<std::uint64_t>(n));
    CHECK((ps::by_ref(p) | ps::take(100) | ps::collect()).empty());
}

TEST_CASE("take: an item that threw does not count, neither now nor when it is passed over after a load", "[unit][take]") {
    auto make = [] { return test::throwing_source(6, {1}) | ps::take(3); };
    auto p = make();
    CHECK(p.next() == 0);
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK(p.next() == 2);
    CHECK(p.next() == 3);
    CHECK(p.next() == std::nullopt);
    auto q = make();
    q.reset(0, 0);
    CHECK(ps::discard(q.inner()));
    CHECK_THROWS_AS(ps::discard(q.inner()), ps::stage_error);
    CHECK(ps::discard(q.inner()));
    CHECK(q.next() == 3);
}

TEST_CASE("take: world_max is the smaller one", "[unit][take]") {
    CHECK((test::keyed_source(10, {0, 3}) | ps::take(3)).world_max() == 3u);
    CHECK((test::keyed_source(10, {0, 3}) | ps::take(100)).world_max() == 4u);
}

TEST_CASE("take: a bad argument and another n are named", "[unit][take]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::take(-2); });
    CHECK(text.find("got -2") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    auto const saved = (ps::from_vector({1, 2, 3}) | ps::take(3)).save();
    auto other = ps::from_vector({1, 2, 3}) | ps::take(2);
    auto const refused = test::error_of<ps::state_error>([&] { other.load(saved); return 0; });
    CHECK(refused.find("take was saved with left 3, here it is at most 2") != refused.npos);
}
