#include <penstock/sources/in_memory.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/core/random.hpp>
#include <penstock/sources/from_range.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

/// Items world.rank, world.rank + world.size, ... of `all`.
template <class T>
std::vector<T> every(std::vector<T> const& all, ps::world w) {
    std::vector<T> mine;
    for (std::size_t i = w.rank; i < all.size(); i += w.size) mine.push_back(all[i]);
    return mine;
}
std::vector<int> ascending(int n) {
    std::vector<int> all(static_cast<std::size_t>(n));
    for (int i = 0; i != n; ++i) all[static_cast<std::size_t>(i)] = i;
    return all;
}

/// How often each position of epoch `index` of n items was delivered.
struct tally_of_positions {
    std::uint64_t n, index;
    std::vector<int> count = std::vector<int>(static_cast<std::size_t>(n));
    void add(ps::cover const& c) {
        c.each([&](ps::interval i) {
            for (auto at = i.begin; at != i.end; ++at) ++count.at(static_cast<std::size_t>(at - index * n));
        });
    }
    bool each_once() const { return count == std::vector<int>(count.size(), 1); }
};

}  // namespace

TEST_CASE("in_memory: what it is", "[unit][in_memory]") {
    auto is = []<class P>(P const&) { return ps::in_memory<std::remove_cvref_t<decltype(std::declval<P&>().inner())>>; };
    CHECK(is(ps::range(3)));
    CHECK(is(ps::permuted(3)));
    CHECK(is(ps::from_vector({1, 2})));
    CHECK(is(ps::from_range(std::deque{1, 2})));
    CHECK_FALSE(is(ps::from_range(std::list{1, 2})));
    CHECK_FALSE(is(ps::from_vector(std::vector<test::move_only>{})));
    CHECK_FALSE(is(ps::range(3) | ps::map([](auto i) { return i; })));
}

TEST_CASE("in_memory: source contract of every rank's part", "[unit][in_memory]") {
    auto const model = [](int n, test::facts const& f) { return every(ascending(n), f.world); };
    test::battery(test::source_case{.name = "range | split_by_rank", .make = [](int n, ps::world w) { return ps::range(n) | ps::split_by_rank(w); }, .model = model});
    test::battery(test::source_case{.name = "from_vector | split_by_rank", .make = [](int n, ps::world w) { return ps::from_vector(ascending(n)) | ps::split_by_rank(w); }, .model = model});
    test::battery(test::source_case{
        .name = "from_range(deque) | split_by_rank",
        .make = [](int n, ps::world w) {
            auto const all = ascending(n);
            return ps::from_range(std::deque<int>(all.begin(), all.end())) | ps::split_by_rank(w);
        },
        .model = model,
    });
    test::battery(test::source_case{
        .name = "permuted | split_by_rank",
        .make = [](int n, ps::world w) { return ps::permuted(n) | ps::split_by_rank(w); },
        .model = [](int n, test::facts const& f) {
            std::vector<std::int64_t> all;
            auto const order = ps::permutation(static_cast<std::uint64_t>((std::max)(n, 1)), ps::child_key(f.epoch.line, "permuted"), f.epoch.index);
            for (int i = 0; i != n; ++i) all.push_back(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(i))));
            return every(all, f.world);
        },
    });
}

TEST_CASE("in_memory: without split_by_rank the items are plain, and every rank has all of them", "[unit][in_memory]") {
    STATIC_REQUIRE(std::is_same_v<decltype(ps::from_vector({1}))::item_type, int>);
    CHECK((ps::range(7) | ps::batch(2)).world_max() == 4u);
    CHECK(ps::permuted(7).world_max() == 7u);
    CHECK(ps::from_vector({1, 2}).world_max() == 2u);
    CHECK(ps::from_range(std::list{1, 2, 3}).world_max() == 3u);
    CHECK((ps::range(7) | ps::map([](auto i) { return i; }) | ps::split_by_rank({1, 2}) | ps::batch(2)).world_max() == 2u);
    CHECK((ps::range(7) | ps::map([](auto i) { return i; }) | ps::split_by_rank({1, 2})).facts().world_min == 3u);
}

TEST_CASE("in_memory: an item of a part is a sample: id, key, pass and position", "[unit][in_memory]") {
    auto p = ps::from_vector<std::string>({"a", "b", "c", "d", "e"}) | ps::split_by_rank({1, 2});
    CHECK(p.facts() == ps::chain_facts{.world_max = 3u, .world_min = 2u, .counted = true, .identified = true, .split = ps::world{1, 2}});
    CHECK(p.hint() == ps::size_hint{2, 2});
    p.reset(1, 4);
    CHECK(p.next());
    auto const d = p.next();
    REQUIRE(d);
    CHECK(d->value == "d");
    CHECK(d->id == 3);
    CHECK(d->key == "3");
    CHECK(d->pass == 4);
    CHECK(d->weight == 1);
    d->cover.each([](ps::interval i) { CHECK(i == ps::interval{4 * 5 + 3, 4 * 5 + 4}); });
    auto q = ps::permuted(100) | ps::split_by_rank({0, 3});
    q.reset(1, 2);
    while (auto item = q.next()) CHECK(std::cmp_equal(item->id, item->value));  // whatever the order
}

TEST_CASE("in_memory: an epoch is finished in other worlds, again and again, each item once", "[unit][in_memory]") {
    for (std::uint64_t number = 0; number != 60; ++number) {
        ps::random_stream random(11, 0, number);
        auto const n = static_cast<std::int64_t>(random.below(200));
        auto const index = std::uint64_t{random.below(3)}, seed = number;
        auto make = [&](ps::world w) { return ps::permuted(n) | ps::split_by_rank(w) | ps::shuffle(1 + static_cast<std::int64_t>(number % 9)) | ps::batch(1 + static_cast<std::int64_t>(number % 5)); };
        auto seen = tally_of_positions{static_cast<std::uint64_t>(n), index};
        std::vector<int> ids(static_cast<std::size_t>(n));
        ps::ledger used;
        for (int world_number = 0; world_number != 4; ++world_number) {
            auto const size = 1 + random.below(4);
            bool const last = world_number == 3;
            ps::ledger all = used;
            std::vector<std::uint64_t> steps;
            for (std::uint32_t rank = 0; rank != size; ++rank) {
                auto p = make({rank, size});
                if (world_number == 0) p.reset(seed, index);
                else p.reset(ps::epoch::of(seed, index), used);
                std::uint64_t taken = 0;
                auto most = last ? ~std::uint64_t{0} : *p.world_max() / 2;
                while (taken != most) {
                    if (taken == 1) {  // a resume in the same world, of a state that was saved after the recut
                        auto fresh = make({rank, size});
                        if (world_number == 0) fresh.load(p.save());
                        else fresh.load(p.save(), used);
                        p = std::move(fresh);
                    }
                    auto b = p.next();
                    if (!b) break;
                    ++taken;
                    all.commit(*b);
                    seen.add(b->cover);
                    for (auto const id : b->ids) ++ids.at(static_cast<std::size_t>(id));
                }
                steps.push_back(taken);
            }
            CHECK(std::ranges::adjacent_find(steps, std::not_equal_to{}) == steps.end());
            used = std::move(all);
        }
        INFO("n = " << n << ", number " << number);
        CHECK(seen.each_once());
        CHECK(ids == std::vector<int>(static_cast<std::size_t>(n), 1));
    }
}

TEST_CASE("in_memory: it takes part in interleave as shards do: equal batches on every rank, and a rest for other ranks", "[unit][in_memory]") {
    auto make = [](ps::world w) {
        return ps::interleave({.stop = ps::stop_rule::all}, ps::named("numbers", 0.7, ps::permuted(103) | ps::split_by_rank(w) | ps::batch(4)),
                              ps::named("words", 0.3, ps::from_vector(std::vector<std::int64_t>(29, 5)) | ps::split_by_rank(w) | ps::batch(4)));
    };
    auto seen = tally_of_positions{103, 2}, words = tally_of_positions{29, 2};
    auto note = [&](auto const& b) { (b.source == "numbers" ? seen : words).add(b.cover); };
    ps::ledger used;
    for (std::uint32_t rank : {0u, 1u, 2u}) {
        auto p = make({rank, 3});
        p.reset(3, 2);
        for (int i = 0; i != 5; ++i) {
            auto b = p.next();
            REQUIRE(b);
            used.commit(*b);
            note(*b);
        }
    }
    std::vector<std::uint64_t> counts;
    for (std::uint32_t rank : {0u, 1u}) {
        auto p = make({rank, 2});
        p.reset(ps::epoch::of(3, 2), used);
        counts.push_back(0);
        for (; auto b = p.next(); ++counts.back()) note(*b);
    }
    CHECK(counts[0] == counts[1]);
    CHECK(seen.each_once());
    CHECK(words.each_once());
    auto single = ps::interleave({.stop = ps::stop_rule::all_restart}, ps::named("a", 1, ps::range(5) | ps::split_by_rank({1, 2})), ps::named("b", 1, ps::range(9) | ps::split_by_rank({1, 2})));
    int n = 0;
    while (single.next()) ++n;
    CHECK(n == 8);  // 4 of b in 5 turns, and as many turns of a: 2 items and one vacant turn, then 2 again
}

TEST_CASE("in_memory: an item that cannot be made names itself, and its position is not lost", "[unit][in_memory]") {
    std::string told;
    auto p = ps::from_range(std::views::iota(0, 6) | std::views::transform([](int i) { return i != 3 ? i : throw std::out_of_range("three"); })) | ps::split_by_rank({1, 2}) |
             ps::on_error(ps::skips{.user = true}, [&](ps::stage_error const& e) { told = e.what(); });
    std::vector<std::uint64_t> counts;
    while (auto item = p.next()) counts.push_back(item->cover.count());
    CHECK(counts == std::vector<std::uint64_t>{1, 2});
    CHECK(has(told, "from_range, sample '3' (id 3): three"));
}

TEST_CASE("in_memory: another rank's state, other data and data that grew are refused by name", "[unit][in_memory]") {
    auto p = ps::range(9) | ps::split_by_rank({1, 3});
    auto refused = [&](auto other) { return test::error_of<ps::state_error>([&] { return other.load(p.save()), 0; }); };
    CHECK(has(refused(ps::range(9) | ps::split_by_rank({2, 3})), "range: the state was saved with rank 1, here it is 2\n  HINT: "));
    CHECK(has(refused(ps::range(9) | ps::split_by_rank({1, 4})), "with world size 3, here it is 4\n  HINT: "));
    CHECK(has(refused(ps::range(8) | ps::split_by_rank({1, 3})), "with number of items 9, here it is 8\n  HINT: "));
    CHECK(has(refused(ps::permuted(9) | ps::split_by_rank({1, 3})), "the chain has permuted.split_by_rank"));
    CHECK(has(test::error_of<ps::config_error>([] { return ps::range(std::int64_t{1} << 49) | ps::split_by_rank({0, 2}); }), "2^48"));
    std::vector<int> data{1, 2, 3};
    auto q = ps::from_range(std::ref(data)) | ps::split_by_rank({0, 1});
    q.reset(1, 0);
    data.push_back(4);
    CHECK(has(test::error_of<ps::stage_error>([&] { return q.reset(1, 1), 0; }), "it had 3 items when the chain was built, and has 4 now\n  HINT: "));
}

TEST_CASE("in_memory: without split_by_rank an epoch that others began is refused", "[unit][in_memory]") {
    ps::ledger used;
    auto p = ps::range(4) | ps::batch(2);
    CHECK(has(test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; }), "put split_by_rank right behind data in memory"));
}
