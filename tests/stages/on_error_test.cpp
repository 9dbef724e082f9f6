#include <penstock/stages/on_error.hpp>

#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>
#include <support/fake_shards.hpp>

#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// Throws for the items that bad(number) says, as a stage does: the item is lost, its positions are in the error.
template <class S>
struct failing_stage : ps::stage_over<S> {
    using stateless = void;
    using item_type = typename S::item_type;
    bool (*bad)(int);
    ps::fault kind;

    failing_stage(S input, bool (*b)(int), ps::fault k) : ps::stage_over<S>(std::move(input)), bad(b), kind(k) {}
    std::optional<item_type> next() {
        auto item = this->up.next();
        if (item) check(*item);
        return item;
    }
    bool discard() { return penstock::discard(this->up); }

private:
    void check(item_type const& item) {
        int n = 0;
        if constexpr (ps::is_keyed<item_type>) n = test::number(item.value);
        else n = test::number(item);
        if (!bad(n)) return;
        ps::stage_error e("failing", kind, {"part.tar", "k" + std::to_string(n), 512, {}}, "bad on purpose");
        if constexpr (ps::is_keyed<item_type>) e.positions = item.cover;
        throw e;
    }
};
auto failing(bool (*bad)(int), ps::fault kind = ps::fault::content) { return ps::stage_of<failing_stage>("failing", bad, kind); }

bool third(int n) { return n % 3 == 1; }
bool low(int n) { return n % 10'000 < 4; }
bool every(int) { return true; }

constexpr auto others = [](ps::stage_error const& e) { return e.stage == "failing" ? ps::action::skip : ps::action::raise; };
std::vector<int> without(std::vector<int> in, bool (*bad)(int)) {
    std::erase_if(in, bad);
    return in;
}
}  // namespace

TEST_CASE("on_error: stage contract", "[unit][on_error]") {
    test::battery(test::stage_case{
        .name = "on_error, a third fails",
        .make = [](auto src) { return std::move(src) | failing(third) | ps::on_error(others); },
        .model = [](std::vector<int> in) { return without(std::move(in), third); },
    });
    test::battery(test::stage_case{
        .name = "on_error, the first ones fail",
        .make = [](auto src) { return std::move(src) | failing(low) | ps::on_error(ps::skips{.total = 4}, [offset = 1](ps::stage_error const& e) { return e.where.byte == 511u + static_cast<unsigned>(offset) && e.stage == "failing" ? ps::action::skip : ps::action::raise; }); },
        .model = [](std::vector<int> in) { return without(std::move(in), low); },
    });
    test::battery(test::stage_case{
        .name = "on_error, all fail",
        .make = [](auto src) { return std::move(src) | failing(every) | ps::on_error(ps::skips{.total = 5000, .in_a_row = 5000}, [own = std::make_unique<int>()](ps::stage_error const& e) { return others(e); }); },
        .model = [](std::vector<int>) { return std::vector<int>{}; },
    });
}

TEST_CASE("on_error: stage contract, inside a shuffle", "[unit][on_error]") {
    test::battery(test::stage_case{
        .name = "failing | on_error | shuffle(3)",
        .make = [](auto src) { return std::move(src) | failing(third) | ps::on_error(others) | ps::shuffle(3); },
        .model = [](std::vector<int> in, test::facts const& f) {
            struct fixed {
                using item_type = int;
                std::vector<int> all;
                std::size_t at = 0;
                std::optional<int> next() { return at == all.size() ? std::nullopt : std::optional(all[at++]); }
                void reset(ps::epoch) { at = 0; }
            };
            auto p = ps::pipeline(fixed{without(std::move(in), third)}) | ps::shuffle(3);
            if (f.rewinds) p.reset(f.epoch);
            return std::move(p) | ps::collect();
        },
        .permutes = true,
    });
}

TEST_CASE("on_error: the example", "[unit][on_error]") {
    using namespace ps;
    auto risky = [](std::int64_t i) {
        if (i == 2) throw std::runtime_error("two");
        return i;
    };
    auto got =
    // example-begin on_error
    range(4) | map(risky) | on_error(skips{.total = 2, .user = true})    // 0 1 3
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 3});
}

TEST_CASE("on_error: functions that own something", "[unit][on_error]") {
    auto seen = std::make_unique<std::vector<std::string>>();
    auto* const told = seen.get();
    auto p = test::throwing_source(6, {1, 4}) | ps::on_error([seen = std::move(seen)](ps::stage_error const& e) { seen->push_back(e.where.key); });
    std::vector<int> got;
    auto f = [&](int i) {
        got.push_back(i);
        return true;
    };
    CHECK(p.for_each_while(f));
    CHECK(got == std::vector{0, 2, 3, 5});
    CHECK(*told == std::vector<std::string>{"k1", "k4"});
}

TEST_CASE("on_error: covers of skipped items go to the next one, and trailing has the last", "[unit][on_error]") {
    auto const bad = [](int n) { return n == 0 || n == 1 || n == 4; };
    auto p = test::keyed_source(5) | failing(bad) | ps::on_error();
    auto first = p.next();
    REQUIRE(first);
    CHECK(first->id == 2);
    CHECK(first->cover.count() == 3);
    CHECK(p.next()->cover.count() == 1);
    CHECK_FALSE(p.next());
    auto const left = p.trailing();
    CHECK(left.count() == 1);
    left.each([](ps::interval i) { CHECK(i == ps::interval{4, 5}); });
}

TEST_CASE("on_error: covers that wait are saved, also in an item's place behind a stage that holds", "[unit][on_error]") {
    auto make = [] { return test::keyed_source(9, {}, {2}) | failing([](int n) { return n % 10'000 < 2; }) | ps::on_error([](ps::stage_error const& e) { return others(e); }); };
    auto p = make();
    CHECK_THROWS_AS(p.next(), ps::stage_error);  // 0 and 1 wait, 2 failed
    auto q = make();
    q.load(ps::state::parse(p.save().text()));
    CHECK(p.next()->cover.count() == 3);
    CHECK(q.next()->cover.count() == 3);
    q.reset(0, 1);
    CHECK_THROWS_AS(q.next(), ps::stage_error);
    q.reset(0, 0);
    CHECK_THROWS_AS(q.next(), ps::stage_error);
    CHECK(q.next()->cover.count() == 3);
}

TEST_CASE("on_error: world_max stays, and batch yields the number that it promised", "[unit][on_error]") {
    auto make = [](std::uint32_t rank) {
        return test::keyed_source(10, {rank, 2}) | failing([](int n) { return n > 1 && n < 5; }) | ps::on_error() | ps::batch(2);
    };
    for (std::uint32_t rank : {0u, 1u}) {
        auto p = make(rank);
        CHECK(p.world_max() == 3u);
        std::vector<std::size_t> sizes;
        std::uint64_t covered = 0;
        while (auto b = p.next()) {
            sizes.push_back(b->size());
            covered += b->cover.count();
        }
        CHECK(sizes == (rank == 0 ? std::vector<std::size_t>{2, 0, 0} : std::vector<std::size_t>{2, 2, 1}));
        CHECK(covered == 5);
    }
    auto p = test::keyed_source(10) | failing(third) | ps::on_error();
    CHECK(p.hint() == ps::size_hint{0, 10});
    auto q = ps::range(10) | ps::map([](auto i) { return i; }) | ps::on_error();
    CHECK_FALSE(q.facts().world_min);
}

TEST_CASE("on_error: one more than .total is an error that names the last ones", "[unit][on_error]") {
    auto p = test::throwing_source(12, {1, 3, 5, 7}) | ps::on_error(ps::skips{.total = 2});
    std::vector<int> got;
    std::string text;
    ps::cover lost;
    for (int i = 0; i != 2 + 1; ++i) got.push_back(p.next().value());
    CHECK(got == std::vector{0, 2, 4});
    text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("2 items were skipped in this epoch") != text.npos);
    for (auto const* key : {"k1", "k3", "k5"}) CHECK(text.find(key) != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK(p.next() == 6);  // it goes on; the limit stays reached
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK(p.next() == 8);
    p.reset(0, 1);
    CHECK(p.next() == 10'000);
    CHECK(p.next() == 10'002);  // counted anew in each epoch
}

TEST_CASE("on_error: one more than .in_a_row is an error; a good item starts the count again", "[unit][on_error]") {
    auto p = test::throwing_source(12, {1, 2, 4, 5, 7, 8, 9}) | ps::on_error(ps::skips{.in_a_row = 2});
    std::vector<int> got;
    for (int i = 0; i != 3; ++i) got.push_back(p.next().value());
    CHECK(got == std::vector{0, 3, 6});
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("2 items in a row") != text.npos);
    CHECK(text.find("k9") != text.npos);
    CHECK(p.next() == 10);
    CHECK(p.stats().back().errors == 6);
}

TEST_CASE("on_error: the counts are in the state", "[unit][on_error]") {
    auto make = [] { return test::throwing_source(12, {1, 3, 4, 5}) | ps::on_error(ps::skips{.total = 3, .in_a_row = 2}); };
    for (int k = 0; k != 3; ++k) {
        auto p = make();
        auto const pull = [](auto& from) { return test::error_of<ps::stage_error>([&] { return from.next(); }); };
        std::string tail, again;
        for (int i = 0; i != k; ++i) (void)pull(p);
        auto q = make();
        q.load(p.save());
        CHECK(q.save() == p.save());
        for (int i = 0; i != 10; ++i) {
            tail += pull(p).substr(0, 30);
            again += pull(q).substr(0, 30);
        }
        CHECK(again == tail);
        CHECK(tail.find("on_error") != tail.npos);
    }
}

TEST_CASE("on_error: the error over the limit carries its item's positions and its cause, and no other on_error hides it", "[unit][on_error]") {
    auto p = test::keyed_source(6) | failing([](int n) { return n == 1 || n == 3; }) | ps::on_error(ps::skips{.total = 1}) | ps::on_error(ps::skips{.total = 9});
    CHECK(p.next()->id == 0);
    CHECK(p.next()->cover.count() == 2);
    try {
        (void)p.next();
        FAIL("nothing thrown");
    } catch (ps::stage_error const& e) {
        CHECK(e.stage == "on_error");
        CHECK(e.kind == ps::fault::content);
        CHECK(e.positions.count() == 1);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), ps::stage_error);
    }
    CHECK(p.next()->cover.count() == 1);
}

TEST_CASE("on_error: what is nobody's bad sample passes", "[unit][on_error]") {
    auto io = test::source_of({.n = 4}) | failing(third, ps::fault::io) | ps::on_error(ps::skips{.user = true});
    CHECK(io.next() == 0);
    CHECK_THROWS_AS(io.next(), ps::stage_error);
    CHECK(io.next() == 2);
    auto user = test::source_of({.n = 4}) | failing(third, ps::fault::user) | ps::on_error();
    CHECK(user.next() == 0);
    CHECK_THROWS_AS(user.next(), ps::stage_error);
    auto asked = test::source_of({.n = 4}) | failing(third, ps::fault::user) | ps::on_error(ps::skips{.user = true});
    CHECK(asked.next() == 0);
    CHECK(asked.next() == 2);

    auto throws = [](auto e, bool user_too) {
        auto skipped = [&](auto source) {
            auto p = std::move(source) | ps::map([e](std::int64_t i) {
                         if (i == 1) throw e;
                         return i;
                     }) |
                     ps::on_error(ps::skips{.user = user_too});
            CHECK(p.next());
            try {
                auto const next = p.next();
                if constexpr (ps::is_keyed<std::decay_t<decltype(*next)>>) CHECK(next->cover.count() == 2);
                return true;
            } catch (...) {
                return false;
            }
        };
        auto const plain = skipped(ps::range(3));
        if constexpr (std::is_base_of_v<std::exception, decltype(e)>) CHECK(skipped(test::keyed_source(3)) == plain);  // there the map names the sample
        return plain;
    };
    CHECK(throws(std::runtime_error("his"), true));
    CHECK_FALSE(throws(std::runtime_error("his"), false));
    CHECK_FALSE(throws(ps::config_error("wrong"), true));
    CHECK_FALSE(throws(ps::state_error("wrong"), true));
    CHECK_FALSE(throws(std::bad_alloc(), true));
    CHECK_FALSE(throws(std::system_error(std::make_error_code(std::errc::io_error)), true));
    CHECK_FALSE(throws(3, true));
}

TEST_CASE("on_error: an exception of the consumer's function is not skipped", "[unit][on_error]") {
    auto p = test::throwing_source(4, {0}) | ps::on_error(ps::skips{.user = true});
    auto f = [](int) -> bool { throw ps::stage_error("consumer", ps::fault::content, {}, "mine"); };
    CHECK_THROWS_AS(p.for_each_while(f), ps::stage_error);
    CHECK(p.stats().back().errors == 1);
    CHECK(p.next() == 2);
}

TEST_CASE("on_error: stats tell how many and which", "[unit][on_error]") {
    auto p = test::throwing_source(9, {1, 2, 4, 6}) | ps::on_error();
    while (p.next()) {}
    auto const s = p.stats().back();
    CHECK(s.name == "on_error");
    CHECK(s.items == 5);
    CHECK(s.errors == 4);
    CHECK(s.note.find("k1") == s.note.npos);
    for (auto const* key : {"k2", "k4", "k6"}) CHECK(s.note.find(key) != s.note.npos);
}

TEST_CASE("on_error: a failure counts for as many samples as are lost with it", "[unit][on_error]") {
    test::fake_shards format;
    format.disk->shards["a"] = {.samples = 10, .damaged_at = 7};
    format.disk->shards["b"] = {.samples = 10};
    auto samples = ps::shard_list({"a", "b"}, {.counts = {{10, 10}}}) | ps::plan_stage("read_fake", [&](ps::shard_plan plan) { return ps::planned_reader<test::fake_shards>(std::move(plan), format); });
    int batches = 0;
    auto p = std::move(samples) | ps::on_error() | ps::batch(4, {.remainder = ps::remainder::pad}) | ps::map([&batches](auto b) {
                 if (++batches % 4 == 1) throw std::runtime_error("too large");
                 return b;
             }) | ps::on_error(ps::skips{.user = true});
    while (p.next()) {}
    CHECK(batches == 5);  // of 4, 3 + 1, 4, 4 and 1 samples
    std::vector<std::uint64_t> left_out;
    for (auto const& s : p.stats())
        if (s.name == "on_error") {
            CHECK(s.errors == (left_out.empty() ? 1u : 2u));
            left_out.push_back(s.left_out);
        }
    CHECK(left_out == std::vector<std::uint64_t>{3, 5});  // 4 and 1: what fills a batch up is no sample
}

TEST_CASE("on_error: a wrong limit is named", "[unit][on_error]") {
    auto const total = test::error_of<ps::config_error>([] { (void)ps::on_error(ps::skips{.total = 0}); return 0; });
    CHECK(total.find("got 0") != total.npos);
    CHECK(total.find("HINT") != total.npos);
    auto const row = test::error_of<ps::config_error>([] { (void)ps::on_error(ps::skips{.in_a_row = -4}); return 0; });
    CHECK(row.find("in_a_row must be >= 1, got -4") != row.npos);
    CHECK(row.find("HINT") != row.npos);
}
