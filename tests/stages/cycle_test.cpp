#include <penstock/stages/cycle.hpp>

#include <penstock/core/any_pipeline.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/combine.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>
#include <support/bare.hpp>
#include <support/battery.hpp>

#include <limits>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// What cycle(n) makes of an epoch: the numbers of pass k of epoch e are those of epoch n e + k.
std::vector<int> passes(std::vector<int> const& in, ps::epoch e, int n) {
    std::vector<int> out;
    for (int k = 0; k != n; ++k)
        for (auto const i : in) out.push_back(i % 10000 + 10000 * (static_cast<int>(e.index) * n + k));
    return out;
}
}  // namespace

TEST_CASE("cycle: stage contract", "[unit][cycle]") {
    int const n = GENERATE(1, 2, 3);
    test::battery(test::stage_case{
        .name = "cycle(n)",
        .make = [n](auto src) {
            if constexpr (ps::resettable<std::remove_cvref_t<decltype(src)>>) return std::move(src) | test::bare() | ps::cycle(n);
            else return std::move(src) | ps::take(1'000'000);
        },
        .model = [n](std::vector<int> const& in, test::facts const& f) { return f.rewinds ? passes(in, f.epoch, n) : in; },
        .drops = true,
        .sizes = {0, 1, 2, 7, 20},
    });
}

TEST_CASE("cycle: stage contract of an endless one, cut off", "[unit][cycle]") {
    test::battery(test::stage_case{
        .name = "cycle() | take(25)",
        .make = [](auto src) {
            if constexpr (ps::resettable<std::remove_cvref_t<decltype(src)>>) {
                // the shares of a world may be empty, which an endless cycle refuses
                if constexpr (ps::is_keyed<typename std::remove_cvref_t<decltype(src)>::item_type>) return std::move(src) | test::bare() | ps::cycle(4) | ps::take(25);
                else return std::move(src) | test::bare() | ps::cycle() | ps::take(25);
            } else return std::move(src) | ps::take(25);
        },
        .model = [](std::vector<int> const& in, test::facts const& f) {
            std::vector<int> out;
            for (int k = 0; !in.empty() && f.rewinds && out.size() < 25; ++k)
                for (auto const i : in) out.push_back(i % 10000 + 10000 * (static_cast<int>(f.epoch.index) + k));
            if (!f.rewinds) out = in;
            if (out.size() > 25) out.resize(25);
            return out;
        },
        .drops = true,
        .sizes = {1, 2, 7},
    });
}

TEST_CASE("cycle: the example", "[unit][cycle]") {
    using namespace ps;
    auto got =
    // example-begin cycle
    range(2) | cycle(3)    // 0 1 0 1 0 1
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 0, 1, 0, 1});
}

TEST_CASE("cycle: every pass is an epoch of the stages before it, in a new order, none of them twice", "[unit][cycle]") {
    auto once = [](std::uint64_t index) {
        auto p = ps::range(30) | ps::shuffle(10);
        p.reset(3, index);
        std::vector<std::int64_t> all;
        for (auto i : p) all.push_back(i);
        return all;
    };
    for (std::uint64_t const e : {0u, 1u, 2u}) {
        auto p = ps::range(30) | ps::shuffle(10) | ps::cycle(2);
        p.reset(3, e);
        std::vector<std::int64_t> all;
        for (auto i : p) all.push_back(i);
        auto wanted = once(2 * e);
        auto const second = once(2 * e + 1);
        CHECK(wanted != second);
        wanted.insert(wanted.end(), second.begin(), second.end());
        CHECK(all == wanted);
    }
}

TEST_CASE("cycle: resumes inside a shuffled pass and at its edges, also below another shuffle", "[unit][cycle]") {
    auto make = [] { return ps::range(7) | ps::shuffle(3) | ps::cycle() | ps::shuffle(4); };
    auto whole = make();
    whole.reset(9, 4);
    std::vector<std::int64_t> all;
    for (int i = 0; i != 60; ++i) all.push_back(*whole.next());
    for (std::size_t k = 0; k != 40; ++k) {
        auto p = make();
        p.reset(9, 4);
        for (std::size_t i = 0; i != k; ++i) (void)p.next();
        auto q = make();
        q.load(ps::state::parse(p.save().text()));
        for (std::size_t i = k; i != 60; ++i) CHECK(q.next() == all[i]);
    }
}

TEST_CASE("cycle: what was dropped at the end of a pass is stood for by the next item, at the very end by trailing", "[unit][cycle]") {
    auto make = [] { return test::keyed_source(3) | ps::filter([](int i) { return i % 10000 == 0; }) | ps::cycle(2); };
    auto p = make();
    CHECK(p.next()->cover.count() == 1);
    auto q = make();
    q.load(p.save());
    for (auto* r : {&p, &q}) {
        auto const item = r->next();
        CHECK(item->pass == 1);
        CHECK(item->cover.count() == 3);  // 1 and 2 of pass 0, 0 of pass 1
        CHECK_FALSE(r->next());
        CHECK_FALSE(r->next());
        CHECK(r->trailing().count() == 2);
        CHECK(r->trailing().empty());
    }
}

TEST_CASE("cycle: nothing to repeat is an error, once, and not an endless loop", "[unit][cycle]") {
    auto p = ps::range(0) | ps::cycle();
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("no item in pass 0") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK_FALSE(p.next());
    auto f = [](auto&&) { return true; };
    p.reset(0, 1);
    CHECK_THROWS_AS(p.for_each_while(f), ps::stage_error);
    CHECK(p.for_each_while(f));
    p.reset(0, 2);
    CHECK_THROWS_AS(ps::discard(p.inner()), ps::stage_error);
    auto later = test::source_of({.n = 2}) | ps::filter([](int i) { return i < 20000; }) | ps::cycle();
    for (int i : {0, 1, 10000, 10001}) CHECK(later.next() == i);
    CHECK_THROWS_AS(later.next(), ps::stage_error);
    auto finite = test::source_of({.n = 2}) | ps::filter([](int i) { return i >= 20000; }) | ps::cycle(4);
    CHECK((std::move(finite) | ps::collect()) == std::vector{20000, 20001, 30000, 30001});
}

TEST_CASE("cycle: a pass of nothing but failures is not empty: every one of them arrives", "[unit][cycle]") {
    auto p = test::throwing_source(2, {0, 1}) | ps::cycle();
    for (int i = 0; i != 9; ++i) {
        auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
        CHECK(text.find("broken on purpose") != text.npos);
    }
}

TEST_CASE("cycle: hint and world_max", "[unit][cycle]") {
    auto p = ps::range(3) | ps::cycle(2);
    CHECK(p.hint() == ps::size_hint{3, std::nullopt});
    for (int i = 0; i != 4; ++i) (void)p.next();
    CHECK(p.hint() == ps::size_hint{2, 2});
    CHECK((test::keyed_source(7, {1, 2}) | ps::cycle(3)).world_max() == 12u);
    CHECK((test::keyed_source(7, {1, 2}) | ps::cycle()).world_max() == std::nullopt);
    CHECK((test::keyed_source(7) | ps::cycle((std::numeric_limits<std::int64_t>::max)())).world_max() == std::nullopt);
}

TEST_CASE("cycle: world_max is told only where all passes are of one length, and never changes within an epoch", "[unit][cycle]") {
    auto const mixed = [](ps::stop_rule stop, ps::picks picks) {
        return ps::interleave({.stop = stop, .picks = picks}, ps::named("a", 2, test::keyed_source(9) | ps::batch(1)), ps::named("b", 1, test::keyed_source(6) | ps::batch(1)));
    };
    auto const told = [](auto p) {
        auto const first = p.world_max();
        std::uint64_t count = 0;
        while (p.next()) {
            ++count;
            CHECK(p.world_max() == first);
        }
        if (first) CHECK(count == *first);
        return first;
    };
    CHECK(told(mixed(ps::stop_rule::all, ps::picks::random) | ps::cycle(4)) == 60u);
    CHECK(told(mixed(ps::stop_rule::first, ps::picks::exact) | ps::cycle(4)).has_value());
    CHECK(told(mixed(ps::stop_rule::first, ps::picks::random) | ps::cycle(1)).has_value());
    CHECK(told(mixed(ps::stop_rule::first, ps::picks::random) | ps::cycle(4)) == std::nullopt);
    CHECK(told(mixed(ps::stop_rule::all_restart, ps::picks::exact) | ps::cycle(4)) == std::nullopt);
    CHECK(told(ps::any(mixed(ps::stop_rule::first, ps::picks::random)) | ps::map([](auto b) { return b; }) | ps::cycle(4)) == std::nullopt);
    CHECK(told(ps::combine(ps::combine_mode::max_size_cycle, test::keyed_source(3), test::keyed_source(2)) | ps::cycle(2)) == std::nullopt);
}

TEST_CASE("cycle: a bad argument and another n are named", "[unit][cycle]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::cycle(0); });
    CHECK(text.find("got 0\n  HINT: ") != text.npos);
    auto other = ps::range(3) | ps::cycle();
    auto const refused = test::error_of<ps::state_error>([&] { return other.load((ps::range(3) | ps::cycle(2)).save()), 0; });
    CHECK(refused.find("cycle() was saved as cycle(2)") != refused.npos);
    auto p = ps::range(3) | ps::cycle(2);
    auto const beyond = test::error_of<ps::state_error>([&] { return p.load(ps::state::parse("penstock-state 1\npipeline 1 started=1 seed=0 epoch=0 key=0 line=0\ncycle 1 times=2 pass=2 any=0 over=0 dropped=0\nrange 1 n=3 at=0\n")), 0; });
    CHECK(beyond.find("stands in pass 2\n  HINT: ") != beyond.npos);  // it would go on until 2^64
}

TEST_CASE("cycle: counts per rank, so it refuses an epoch that another world began", "[unit][cycle]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::cycle(2);
    auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; });
    CHECK(text.find("cycle") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    p.reset(0, 0);
    CHECK(p.next());
}
