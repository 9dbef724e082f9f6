#include <penstock/stages/step_by.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> every(std::vector<int> const& in, std::size_t n) {
    std::vector<int> out;
    for (std::size_t i = 0; i < in.size(); i += n) out.push_back(in[i]);
    return out;
}
}  // namespace

TEST_CASE("step_by: stage contract", "[unit][step_by]") {
    int const n = GENERATE(1, 2, 3, 100);
    test::battery(test::stage_case{
        .name = "step_by(n)",
        .make = [n](auto src) { return std::move(src) | ps::step_by(n); },
        .model = [n](std::vector<int> const& in) { return every(in, static_cast<std::size_t>(n)); },
    });
}

TEST_CASE("step_by: the example", "[unit][step_by]") {
    using namespace ps;
    auto got =
    // example-begin step_by
    range(7) | step_by(3)    // 0 3 6
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 3, 6});
}

TEST_CASE("step_by: an item stands for those dropped before it, trailing for the last", "[unit][step_by]") {
    auto p = test::keyed_source(6) | ps::step_by(4);
    CHECK(p.next()->cover.count() == 1);
    CHECK(p.next()->cover.count() == 4);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 1);
    CHECK(p.trailing().empty());
}

TEST_CASE("step_by: an item that threw is no step; covers that wait are saved", "[unit][step_by]") {
    auto make = [] { return test::keyed_source(9, {}, {2}) | ps::step_by(3); };
    auto p = make();
    CHECK(p.next()->value == 0);
    CHECK_THROWS_AS(p.next(), ps::stage_error);  // 1 waits
    auto q = make();
    q.load(p.save());
    for (auto* r : {&p, &q}) {
        auto const item = r->next();
        CHECK(item->value == 4);
        CHECK(item->cover.count() == 3);
    }
}

TEST_CASE("step_by: world_max and hint are exact", "[unit][step_by]") {
    for (int n = 0; n != 12; ++n)
        for (int step : {1, 2, 3, 5}) {
            auto p = ps::range(n) | ps::step_by(step);
            for (auto left = static_cast<std::uint64_t>((n + step - 1) / step);; --left) {
                CHECK(p.hint() == ps::size_hint{left, left});
                if (!p.next()) break;
            }
        }
    CHECK((test::keyed_source(10, {1, 3}) | ps::step_by(3)).world_max() == 2u);
}

TEST_CASE("step_by: a bad argument and another n are named", "[unit][step_by]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::step_by(0); });
    CHECK(text.find("got 0") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    auto p = ps::range(9) | ps::step_by(4);
    (void)p.next();
    auto other = ps::range(9) | ps::step_by(2);
    auto const refused = test::error_of<ps::state_error>([&] { other.load(p.save()); return 0; });
    CHECK(refused.find("step_by was saved with between 3, here it is at most 1") != refused.npos);
}

TEST_CASE("step_by: counts per rank, so it refuses an epoch that another world began", "[unit][step_by]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::step_by(2);
    auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; });
    CHECK(text.find("step_by") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    p.reset(0, 0);
    CHECK(p.next());
}
