#include <penstock/stages/batch_by_cost.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::uint64_t cost_of(int i) { return static_cast<std::uint64_t>(i % 10000 * 7 % 5); }

std::vector<std::vector<int>> by_cost(std::vector<int> const& in, std::uint64_t budget, std::size_t items) {
    std::vector<std::vector<int>> out;
    std::uint64_t spent = budget;
    for (int const i : in) {
        if (out.empty() || spent >= budget || spent + cost_of(i) > budget || out.back().size() == items) {
            out.emplace_back();
            spent = 0;
        }
        out.back().push_back(i);
        spent += cost_of(i);
    }
    return out;
}
auto const itself = [](int i) { return i; };
template <class P>
std::vector<std::vector<int>> lists(P p) {
    std::vector<std::vector<int>> out;
    for (auto& b : p) out.push_back(b.items);
    return out;
}
}  // namespace

TEST_CASE("batch_by_cost: stage contract, a cost that captures an int", "[unit][batch_by_cost]") {
    int const budget = GENERATE(4, 7, 1000);
    int const zero = 0;
    test::battery(test::stage_case{
        .name = "batch_by_cost(n)",
        .make = [=](auto src) { return std::move(src) | ps::batch_by_cost(budget, [zero](auto const& i) { return cost_of(test::number(i)) + static_cast<std::uint64_t>(zero); }, {.items = 20}); },
        .model = [=](std::vector<int> const& in) { return by_cost(in, static_cast<std::uint64_t>(budget), 20); },
    });
}

TEST_CASE("batch_by_cost: stage contract, a cost that captures a unique_ptr, items above the budget", "[unit][batch_by_cost]") {
    test::battery(test::stage_case{
        .name = "batch_by_cost(3, alone)",
        .make = [](auto src) {
            return std::move(src) | ps::batch_by_cost(3, [one = std::make_unique<std::uint64_t>(1)](auto const& i) { return *one * cost_of(test::number(i)); }, {.oversize = ps::oversize::alone});
        },
        .model = [](std::vector<int> const& in) { return by_cost(in, 3, in.size() + 1); },
    });
}

TEST_CASE("batch_by_cost: the example", "[unit][batch_by_cost]") {
    using namespace ps;
    auto got =
    // example-begin batch_by_cost
    from_vector({2, 2, 1, 4, 3}) | batch_by_cost(5, [](int i) { return i; })    // [2 2 1] [4] [3]
    // example-end
    ;
    CHECK(lists(std::move(got)) == std::vector<std::vector<int>>{{2, 2, 1}, {4}, {3}});
}

TEST_CASE("batch_by_cost: an item above the budget is named, or alone", "[unit][batch_by_cost]") {
    auto p = test::keyed_source(6) | ps::batch_by_cost(3, itself);
    CHECK(p.next()->ids == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(p.next()->ids == std::vector<std::uint64_t>{3});
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(std::string(e.what()).find("batch_by_cost, sample 'k4' (id 4): an item costs 4, more than the 3 of a whole batch\n  HINT: ") != std::string::npos);
        CHECK(e.positions.count() == 1);
    }
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK_FALSE(p.next());
    auto alone = ps::from_vector({1, 9, 1, 1, 8}) | ps::batch_by_cost(3, itself, {.oversize = ps::oversize::alone});
    CHECK(lists(std::move(alone)) == std::vector<std::vector<int>>{{1}, {9}, {1, 1}, {8}});
    auto negative = ps::from_vector({1, -9}) | ps::batch_by_cost(3, itself);
    auto const text = test::error_of<ps::stage_error>([&] { return negative.next(); });
    CHECK(text.find("must cost 0 or more, got -9\n  HINT: ") != text.npos);
    CHECK(negative.next()->items == std::vector{1});
}

TEST_CASE("batch_by_cost: the error of cost names the sample, and is met again after a load", "[unit][batch_by_cost]") {
    auto make = [] {
        return test::keyed_source(7) | ps::batch_by_cost(100, [](int i) { return i == 2 ? throw std::runtime_error("two") : 10; });
    };
    auto p = make();
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("batch_by_cost, sample 'k2' (id 2): two") != text.npos);
    auto q = make();
    q.load(p.save());
    CHECK(q.next()->ids == std::vector<std::uint64_t>{0, 1, 3, 4, 5, 6});
    CHECK_FALSE(q.next());
}

TEST_CASE("batch_by_cost: many items without cost, at most .items; huge costs do not overflow", "[unit][batch_by_cost]") {
    auto p = ps::range(10) | ps::batch_by_cost(5, [](auto) { return 0; }, {.items = 4});
    CHECK(p.next()->size() == 4);
    CHECK((std::move(p).next()->size()) == 4);
    auto huge = ps::range(3) | ps::batch_by_cost((std::numeric_limits<std::int64_t>::max)(), [](auto) { return ~std::uint64_t{0} / 2; });
    CHECK(huge.next()->size() == 1);
}

TEST_CASE("batch_by_cost: covers dropped after the last item join the last batch, or are handed on", "[unit][batch_by_cost]") {
    auto p = test::keyed_source(6) | ps::filter([](int i) { return i < 3; }) | ps::batch_by_cost(10, [](int) { return 5; });
    CHECK(p.next()->cover.count() == 2);
    CHECK(p.next()->cover.count() == 4);
    CHECK_FALSE(p.next());
    auto q = test::keyed_source(6) | ps::filter([](int i) { return i < 2; }) | ps::batch_by_cost(10, [](int) { return 5; });
    CHECK(q.next()->cover.count() == 2);
    CHECK_FALSE(q.next());
    CHECK(q.trailing().count() == 4);
}

TEST_CASE("batch_by_cost: bad arguments and other options are named", "[unit][batch_by_cost]") {
    auto const none = test::error_of<ps::config_error>([] { return ps::batch_by_cost(0, itself); });
    CHECK(none.find("budget must be >= 1, got 0\n  HINT: ") != none.npos);
    auto const saved = (ps::from_vector({1}) | ps::batch_by_cost(3, itself)).save();
    auto other = ps::from_vector({1}) | ps::batch_by_cost(4, itself);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(refused.find("batch_by_cost was saved with budget 3, this one has 4") != refused.npos);
    CHECK_FALSE((test::keyed_source(3) | ps::batch_by_cost(3, itself)).world_max());
}
