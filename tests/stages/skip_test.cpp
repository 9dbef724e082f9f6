#include <penstock/stages/skip.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> without_three(std::vector<int> in) {
    in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(in.size(), 3)));
    return in;
}
}  // namespace

TEST_CASE("skip: stage contract", "[unit][skip]") {
    test::battery(test::stage_case{.name = "skip(3)", .make = [](auto src) { return std::move(src) | ps::skip(3); }, .model = without_three});
    test::battery(test::stage_case{.name = "skip(0)", .make = [](auto src) { return std::move(src) | ps::skip(0); }, .model = [](std::vector<int> in) { return in; }});
    test::battery(test::stage_case{.name = "skip(1000)", .make = [](auto src) { return std::move(src) | ps::skip(1000); }, .model = [](std::vector<int>) { return std::vector<int>{}; }});
}

TEST_CASE("skip: the example", "[unit][skip]") {
    using namespace ps;
    auto got =
    // example-begin skip
    from_vector({10, 20, 30}) | skip(1)    // 20 30
    // example-end
    | collect();
    CHECK(got == std::vector{20, 30});
}

TEST_CASE("skip: the next item stands for those skipped; if there is none, trailing has them", "[unit][skip]") {
    auto p = test::keyed_source(5) | ps::skip(3);
    CHECK(p.next()->cover.count() == 4);
    CHECK(p.next()->cover.count() == 1);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().empty());
    auto q = test::keyed_source(2) | ps::skip(3);
    CHECK_FALSE(q.next());
    CHECK(q.trailing().count() == 2);
}

TEST_CASE("skip: covers of an interrupted skip are saved, an item that threw does not count", "[unit][skip]") {
    auto make = [] { return test::keyed_source(7, {}, {1, 3}) | ps::skip(2); };
    auto p = make();
    CHECK_THROWS_AS(p.next(), ps::stage_error);  // 0 waits
    auto q = make();
    q.load(p.save());
    for (auto* r : {&p, &q}) {
        CHECK_THROWS_AS(r->next(), ps::stage_error);  // 0 and 2 wait
        auto const item = r->next();
        CHECK(item->value == 4);
        CHECK(item->cover.count() == 3);
    }
    auto d = make();
    d.reset(0, 0);
    CHECK_THROWS_AS(ps::discard(d.inner()), ps::stage_error);
    CHECK(ps::discard(d.inner()));  // passes over 2, and over 3 unmade
    CHECK(d.next()->cover.count() == 1);
}

TEST_CASE("skip: passing over items after the first n makes none", "[unit][skip]") {
    auto const log = std::make_shared<test::probe>();
    auto p = test::counting_source(10, log) | ps::skip(3);
    p.reset(0, 0);
    CHECK(ps::discard(p.inner()));
    CHECK(ps::discard(p.inner()));
    CHECK(log->made == 3);
    CHECK(p.next() == 5);
}

TEST_CASE("skip: take(n) and skip(n) share an epoch, also where items fail", "[unit][skip]") {
    auto rest = [](auto p) {
        std::vector<int> all;
        for (bool more = true; more;) {
            try {
                auto item = p.next();
                more = item.has_value();
                if (more) all.push_back(*item);
            } catch (ps::stage_error const&) {
            }
        }
        return all;
    };
    auto first = rest(test::throwing_source(9, {1, 4}) | ps::take(3));
    auto const last = rest(test::throwing_source(9, {1, 4}) | ps::skip(3));
    first.insert(first.end(), last.begin(), last.end());
    CHECK(first == std::vector{0, 2, 3, 5, 6, 7, 8});
}

TEST_CASE("skip: world_max and hint are what is left", "[unit][skip]") {
    CHECK((test::keyed_source(10, {0, 3}) | ps::skip(3)).world_max() == 1u);
    CHECK((test::keyed_source(10, {0, 3}) | ps::skip(9)).world_max() == 0u);
    auto p = ps::range(5) | ps::skip(2);
    CHECK(p.hint() == ps::size_hint{3, 3});
    (void)p.next();
    CHECK(p.hint() == ps::size_hint{2, 2});
    CHECK((ps::range(1) | ps::skip(2)).hint() == ps::size_hint{0, 0});
}

TEST_CASE("skip: a bad argument and another n are named", "[unit][skip]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::skip(-2); });
    CHECK(text.find("got -2") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    auto const saved = (ps::from_vector({1, 2, 3}) | ps::skip(3)).save();
    auto other = ps::from_vector({1, 2, 3}) | ps::skip(2);
    auto const refused = test::error_of<ps::state_error>([&] { other.load(saved); return 0; });
    CHECK(refused.find("skip was saved with left 3, here it is at most 2") != refused.npos);
}

TEST_CASE("skip: counts per rank, so it refuses an epoch that another world began", "[unit][skip]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::skip(1);
    auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; });
    CHECK(text.find("skip") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    p.reset(0, 0);
    CHECK(p.next());
}
