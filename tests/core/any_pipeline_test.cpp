#include <penstock/core/any_pipeline.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
auto erased = ps::stage("any", []<class S>(S input) { return ps::any_source<typename S::item_type>(std::move(input)); });
}

TEST_CASE("any_pipeline: stage contract, in the middle of a chain", "[unit][any_pipeline]") {
    test::battery(test::stage_case{
        .name = "any",
        .make = [](auto src) { return std::move(src) | ps::shuffle(3) | erased | ps::map([](auto i) { return i; }); },
        .model = [](std::vector<int> in, test::facts const& f) {
            auto p = ps::range(static_cast<std::int64_t>(in.size())) | ps::shuffle(3);
            if (f.rewinds) p.reset(f.epoch);
            std::vector<int> out;
            while (auto i = p.next()) out.push_back(in[static_cast<std::size_t>(*i)]);
            return out;
        },
        .permutes = true,
    });
}

TEST_CASE("any_pipeline: chains of other stages have one type", "[unit][any_pipeline]") {
    std::vector<ps::any_pipeline<std::int64_t>> all;
    all.push_back(ps::any(ps::range(3)));
    all.push_back(ps::any(ps::range(6) | ps::filter([](auto i) { return i % 2 == 0; })));
    all.push_back(ps::any(ps::any(ps::range(2) | ps::map([](auto i) { return -i; }))));
    std::swap(all[0], all[2]);
    CHECK((std::move(all[0]) | ps::collect()) == std::vector<std::int64_t>{0, -1});
    CHECK((std::move(all[1]) | ps::collect()) == std::vector<std::int64_t>{0, 2, 4});
    CHECK(all[2].hint() == ps::size_hint{3, 3});
}

TEST_CASE("any_pipeline: what the chain inside cannot do is said, or unknown", "[unit][any_pipeline]") {
    auto p = ps::any(ps::pipeline(test::bare_source<test::debug_source<>>{test::debug_source<>({.n = 3})}));
    CHECK(p.hint() == ps::size_hint{});
    CHECK_FALSE(p.world_max());
    CHECK(p.next() == 0);
    auto const text = test::error_of<ps::config_error>([&] { return p.save(); });
    CHECK(text.find("cannot save a position") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK_THROWS_AS(p.reset(0, 1), ps::config_error);
    CHECK(p.next() == 1);
}

TEST_CASE("any_pipeline: it can be saved, and loaded into the same chain", "[unit][any_pipeline]") {
    auto make = [] { return ps::any(ps::range(50) | ps::shuffle(8) | ps::batch(4)); };
    auto p = make();
    for (int i = 0; i != 5; ++i) (void)p.next();
    auto q = make();
    q.load(p.save());
    while (auto b = p.next()) CHECK(q.next()->items == b->items);
    CHECK_FALSE(q.next());
}

TEST_CASE("pipeline: a chain that has begun cannot be made longer", "[unit][pipeline]") {
    auto p = ps::range(3);
    CHECK(p.next() == 0);
    auto const text = test::error_of<ps::config_error>([&] { return (std::move(p) | ps::map([](auto i) { return i; })).hint(); });
    CHECK(text.find("begin the epoch again") != text.npos);
    CHECK(text.find("by_ref") != text.npos);
}

TEST_CASE("pipeline: a reset that is refused changes nothing, and a load that fails begins the epoch again", "[unit][pipeline]") {
    auto make = [](std::int64_t n) { return ps::range(8) | ps::batch(n); };
    auto p = make(2);
    p.reset(3, 4);
    CHECK(p.next()->items.front() == 0);
    CHECK_THROWS_AS(p.reset(ps::epoch::of(3, 5), ps::ledger{}), ps::state_error);
    CHECK_THROWS_AS(p.load(make(3).save()), ps::state_error);
    CHECK(p.next()->items.front() == 0);
}

TEST_CASE("control: a name that a saved state could not hold is refused", "[unit][control]") {
    for (std::string const name : {"", "two words", "a/b", "line\n"}) {
        auto const text = test::error_of<ps::config_error>([&] { return ps::control<int>(name, 1).value(); });
        CHECK(text.find("got '" + name + "'") != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
}
