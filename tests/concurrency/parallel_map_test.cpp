#include <penstock/concurrency/parallel_map.hpp>

#include "sources.hpp"

#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/any_pipeline.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/join_by_key.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/take_while.hpp>
#include <penstock/stages/window.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using namespace std::chrono_literals;

namespace {
auto pipe(test::watch& w, std::uint64_t n) { return ps::pipeline(test::counted{&w, n}); }

template <class P>
std::vector<std::uint64_t> rest(P& p) {
    std::vector<std::uint64_t> v;
    while (true) try {
            auto i = p.next();
            if (!i) return v;
            v.push_back(*i);
        } catch (std::runtime_error const& e) {
            v.push_back(1'000'000 + std::stoull(e.what()));
        }
}
std::vector<std::uint64_t> upto(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> v(to - from);
    std::iota(v.begin(), v.end(), from);
    return v;
}
/// Takes some microseconds, unequal ones, without giving up the processor.
void spin(std::uint64_t i, int most = 40) {
    auto const until = std::chrono::steady_clock::now() + std::chrono::microseconds(i * 7 % static_cast<std::uint64_t>(most));
    while (std::chrono::steady_clock::now() < until) {}
}
}  // namespace

TEST_CASE("parallel_map: stage contract", "[unit][parallel_map]") {
    ps::executor one(1), two(2), eight(8);
    auto const with = [&](int workers) { return workers == 1 ? &one : workers == 2 ? &two : &eight; };
    auto const doubled = [](std::vector<int> in) {
        for (auto& i : in) i *= 2;
        return in;
    };
    for (int window : {1, 5, 0}) {
        CAPTURE(window);
        test::battery(test::stage_case{
            .name = ps::message("parallel_map, window ", window),
            .make = [=, factor = 2](auto src, int workers) {
                auto f = [factor](auto const& i) {
                    spin(static_cast<std::uint64_t>(test::number(i)), 3);
                    return factor * test::number(i);
                };
                return std::move(src) | ps::parallel_map(f, {.threads = workers + 1, .window = window, .executor = with(workers)});
            },
            .model = doubled,
            .rounds = 20,
        });
    }
    test::battery(test::stage_case{
        .name = "parallel_map, f only moves",
        .make = [=](auto src, int workers) {
            return std::move(src) | ps::parallel_map([factor = std::make_unique<int>(2)](auto const& i) { return *factor * test::number(i); }, {.executor = with(workers)});
        },
        .model = doubled,
    });
    test::battery(test::stage_case{
        .name = "prefetch(3) | parallel_map | prefetch(2)",
        .make = [=](auto src, int workers) {
            return std::move(src) | ps::prefetch({.items = 3, .executor = with(workers)}) |
                   ps::parallel_map([](auto const& i) { return 2 * test::number(i); }, {.window = 4, .executor = with(workers)}) |
                   ps::prefetch({.items = 2, .executor = with(workers)});
        },
        .model = doubled,
        .rounds = 20,
    });
}

TEST_CASE("parallel_map: the example", "[unit][parallel_map]") {
    using namespace ps;
    auto got =
    // example-begin parallel_map
    range(4) | parallel_map([](auto i) { return i * i; }, {.threads = 2})    // 0 1 4 9
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 4, 9});
}

TEST_CASE("parallel_map: several threads are inside f, never more than asked for, and the consumer is one of them", "[unit][parallel_map]") {
    ps::executor pool(4);
    for (int threads : {1, 2, 3}) {
        std::atomic<int> inside{0}, most{0};
        std::atomic<bool> consumer{false};
        auto const me = std::this_thread::get_id();
        auto f = [&](std::int64_t i) {
            auto const now = ++inside;
            for (auto seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {}
            if (std::this_thread::get_id() == me) consumer = true;
            std::this_thread::sleep_for(500us);
            --inside;
            return i;
        };
        auto p = ps::range(60) | ps::parallel_map(f, {.threads = threads, .executor = &pool});
        std::int64_t expected = 0;
        while (auto i = p.next()) CHECK(*i == expected++);
        CHECK(expected == 60);
        CHECK(most == threads);
        CHECK(consumer);
    }
}

TEST_CASE("parallel_map: pulls no further than its window, and the source from one thread", "[unit][parallel_map]") {
    ps::executor pool(2);
    for (int window : {1, 7, 32}) {
        test::watch w;
        auto f = [](std::uint64_t i) {
            spin(i);
            return i;
        };
        auto p = pipe(w, 200) | ps::parallel_map(f, {.threads = 3, .window = window, .executor = &pool});
        for (std::uint64_t k = 0; k != 200; ++k) {
            CHECK(p.next() == k);
            CHECK(w.pulls <= k + 1 + static_cast<unsigned>(window));
        }
        CHECK_FALSE(p.next());
        CHECK_FALSE(w.overlapped);
    }
}

TEST_CASE("parallel_map: delivers what is ready before it pulls more than it needs", "[unit][parallel_map]") {
    ps::executor pool(1);
    auto p = ps::pipeline(test::blocking{.free = 40}) | ps::parallel_map([](int i) { return i; }, {.threads = 1, .window = 8, .executor = &pool});
    for (int i = 39; i != 12; --i) CHECK(p.next() == i);
}

TEST_CASE("parallel_map: errors of f and of the source come in order, consume their item, and it goes on", "[unit][parallel_map]") {
    ps::executor pool(2);
    for (int window : {1, 4, 64}) {
        test::watch w;
        w.before = [](std::uint64_t i) {
            if (i % 5 == 2) throw std::runtime_error(std::to_string(i));
        };
        auto f = [](std::uint64_t i) {
            spin(i);
            if (i % 5 == 4) throw std::runtime_error(std::to_string(i));
            return i;
        };
        auto make = [&] { return pipe(w, 23) | ps::parallel_map(f, {.threads = 3, .window = window, .executor = &pool}); };
        std::vector<std::uint64_t> all;
        for (std::uint64_t i = 0; i != 23; ++i) all.push_back(i % 5 == 2 || i % 5 == 4 ? 1'000'000 + i : i);
        auto p = make();
        CHECK(rest(p) == all);
        CHECK_FALSE(p.next());
        for (std::size_t k = 0; k <= all.size(); ++k) {
            auto q = make();
            q.reset(0, 0);
            for (std::size_t i = 0; i != k; ++i) try {
                    (void)q.next();
                } catch (std::runtime_error const&) {
                }
            auto r = make();
            r.load(ps::state::parse(q.save().text()));
            std::vector<std::uint64_t> const tail(all.begin() + static_cast<std::ptrdiff_t>(k), all.end());
            CHECK(rest(r) == tail);
            CHECK(rest(q) == tail);
        }
    }
}

TEST_CASE("parallel_map: the error over a keyed item names it and carries its positions", "[unit][parallel_map]") {
    ps::executor pool(2);
    auto f = [](int i) {
        if (i % 4 == 1) throw std::runtime_error("no good");
        return std::to_string(i);
    };
    auto p = test::keyed_source(10) | ps::parallel_map(f, {.window = 6, .executor = &pool});
    CHECK(p.next()->value == "0");
    try {
        (void)p.next();
        FAIL("nothing thrown");
    } catch (ps::stage_error const& e) {
        CHECK(e.stage == "parallel_map");
        CHECK(e.kind == ps::fault::user);
        CHECK(e.where.key == "k1");
        CHECK(e.positions.count() == 1);
    }
    auto q = test::keyed_source(10) | ps::parallel_map(f, {.window = 6, .executor = &pool}) | ps::on_error(ps::skips{.user = true});
    std::uint64_t covered = 0, items = 0;
    while (auto i = q.next()) {
        CHECK(i->key == "k" + i->value);
        covered += i->cover.count();
        ++items;
    }
    covered += q.trailing().count();
    CHECK(items == 7);
    CHECK(covered == 10);
}

TEST_CASE("parallel_map: passing over items after a load does not make them", "[unit][parallel_map]") {
    ps::executor pool(1);
    std::atomic<int> calls{0};
    auto f = [&](std::uint64_t i) {
        ++calls;
        return i;
    };
    test::watch w;
    auto make = [&] { return pipe(w, 100) | ps::parallel_map(f, {.executor = &pool}) | ps::prefetch({.items = 40, .executor = &pool}); };
    auto p = make();
    for (std::uint64_t i = 0; i != 30; ++i) CHECK(p.next() == i);
    auto const s = p.save();
    { auto const gone = std::move(p); }
    calls = 0;
    auto q = make();
    q.load(s);
    CHECK(calls == 0);
    CHECK(rest(q) == upto(30, 100));
    CHECK(calls == 70);
}

TEST_CASE("parallel_map: what it saves depends on what was delivered, not on how far ahead it is", "[unit][parallel_map]") {
    ps::executor pool(2);
    auto slow = [](std::uint64_t i) {
        std::this_thread::sleep_for(100us);
        return i;
    };
    auto quick = [](std::uint64_t i) { return i; };
    for (int window : {8, 100}) {
        test::watch a, b;
        auto p = pipe(a, 300) | ps::parallel_map(quick, {.window = window, .executor = &pool});
        auto q = pipe(b, 300) | ps::parallel_map(slow, {.window = window, .executor = &pool});
        for (int i = 0; i != 130; ++i) CHECK(p.next() == q.next());
        CHECK(p.save() == q.save());
        CHECK(p.save().text().size() < 300);
    }
}

TEST_CASE("parallel_map: unordered, every item once, also after a load at any position", "[unit][parallel_map]") {
    ps::executor pool(3);
    for (int window : {1, 5, 100})
        for (std::uint64_t k : {0u, 1u, 9u, 50u, 99u, 110u, 120u}) {
            test::watch w;
            w.before = [](std::uint64_t i) {
                if (i % 40 == 13) throw std::runtime_error(std::to_string(i));
            };
            auto f = [](std::uint64_t i) {
                spin(i * i, i % 10 == 0 ? 2000 : 20);
                return i;
            };
            auto make = [&] { return pipe(w, 120) | ps::parallel_map(f, {.threads = 4, .window = window, .ordered = false, .executor = &pool}); };
            std::multiset<std::uint64_t> seen;
            auto const take = [&](auto& p, std::uint64_t n) {
                for (std::uint64_t i = 0; i != n; ++i) try {
                        if (auto const item = p.next()) seen.insert(*item);
                        else return;
                    } catch (std::runtime_error const& e) {
                        seen.insert(std::stoull(e.what()));
                    }
            };
            auto p = make();
            take(p, k);
            auto const before = seen;
            auto const s = p.save();
            CHECK(p.save() == s);
            auto q = make();
            q.load(ps::state::parse(s.text()));
            CHECK(q.save().text().size() < 1500);
            take(q, 5);
            auto const later = q.save();  // a state of a chain that was itself loaded
            auto const after = seen;
            take(q, 1000);
            auto const wanted = upto(0, 120);
            CHECK(std::vector(seen.begin(), seen.end()) == wanted);
            seen = after;
            auto r = make();
            r.load(later);
            take(r, 1000);
            CHECK(std::vector(seen.begin(), seen.end()) == wanted);
            seen = before;
            take(p, 1000);
            CHECK(std::vector(seen.begin(), seen.end()) == wanted);
        }
}

TEST_CASE("parallel_map: unordered, every item once through many short lives", "[unit][parallel_map]") {
    ps::executor pool(2);
    for (std::uint64_t round = 0; round != 30; ++round) {
        ps::random_stream random(7, 0, round);
        auto make = [&] {
            return ps::range(400) | ps::parallel_map([](std::int64_t i) {
                       spin(static_cast<std::uint64_t>(i), i % 37 == 0 ? 2000 : 20);
                       return i;
                   }, {.threads = 2, .window = 256, .ordered = false, .executor = &pool});
        };
        std::vector<int> seen(400);
        std::optional<ps::state> saved;
        for (bool more = true; more;) {
            auto p = make();
            if (saved) p.load(*saved);
            for (auto n = random.below(3) == 0 ? 1 + random.below(60) : 1 + random.below(2); n != 0 && more; --n) {
                auto const i = p.next();
                more = i.has_value();
                if (i) ++seen[static_cast<std::size_t>(*i)];
            }
            saved = p.save();
        }
        CHECK(seen == std::vector<int>(400, 1));
    }
}

TEST_CASE("parallel_map: unordered, one slow item does not hold up the others", "[unit][parallel_map]") {
    ps::executor pool(1);
    std::atomic<bool> open{false};
    auto const me = std::this_thread::get_id();
    std::atomic<bool> stuck{false};
    auto f = [&](std::int64_t i) {
        if (std::this_thread::get_id() != me && !stuck.exchange(true)) open.wait(false);
        else std::this_thread::sleep_for(200us);
        return i;
    };
    auto p = ps::range(40) | ps::parallel_map(f, {.threads = 2, .window = 40, .ordered = false, .executor = &pool});
    std::set<std::int64_t> seen;
    for (int i = 0; i != 30; ++i) seen.insert(p.next().value());
    CHECK(seen.size() == 30);
    open = true;
    open.notify_all();
    while (auto i = p.next()) seen.insert(*i);
    CHECK(seen.size() == 40);
}

TEST_CASE("parallel_map: three prefetches over it finish on one thread, also when that thread is busy", "[unit][parallel_map]") {
    test::held_thread busy;
    ps::executor pool(1);
    auto f = [](std::uint64_t i) {
        spin(i, 30);
        return i + 1;
    };
    auto const run = [&] {
        test::watch w;
        auto p = pipe(w, 300) | ps::parallel_map(f, {.threads = 2, .window = 16, .executor = &pool}) | ps::prefetch({.items = 2, .executor = &pool}) |
                 ps::prefetch({.items = 5, .executor = &pool}) | ps::prefetch({.items = 1, .executor = &pool});
        CHECK(rest(p) == upto(1, 301));
        CHECK_FALSE(w.overlapped);
    };
    for (int i = 0; i != 10; ++i) run();

    pool.post(busy);
    run();
    busy.let_go();
}

TEST_CASE("parallel_map: two share an executor, one inside the other's chain", "[unit][parallel_map]") {
    ps::executor pool(2);
    test::watch w;
    auto f = [](std::uint64_t i) {
        spin(i, 25);
        return i + 1;
    };
    auto p = pipe(w, 1000) | ps::parallel_map(f, {.executor = &pool}) | ps::parallel_map(f, {.executor = &pool});
    CHECK(rest(p) == upto(2, 1002));
}

TEST_CASE("parallel_map: destroyed in the middle of an epoch, at once", "[unit][parallel_map]") {
    ps::executor pool(2);
    auto quickest = 1e9;
    for (bool ordered : {true, false})
        for (int i = 0; i != 100; ++i) {
            auto f = [](std::uint64_t k) {
                std::this_thread::sleep_for(100us);
                return k;
            };
            test::watch w;
            auto p = std::make_optional(pipe(w, 10'000) | ps::parallel_map(f, {.threads = 3, .window = 64, .ordered = ordered, .executor = &pool}) |
                                        ps::prefetch({.items = i % 5 + 1, .executor = &pool}));
            for (int k = 0; k != i % 20; ++k) CHECK(p->next());
            auto const from = std::chrono::steady_clock::now();
            p.reset();
            quickest = (std::min)(quickest, test::ms_since(from));
        }
    CHECK(quickest < 10);
}

TEST_CASE("parallel_map: reset and load in the middle start anew, and it moves while others work for it", "[unit][parallel_map]") {
    ps::executor pool(2);
    test::watch w;
    auto f = [](std::uint64_t i) {
        spin(i, 60);
        return i;
    };
    auto p = pipe(w, 50) | ps::parallel_map(f, {.threads = 3, .executor = &pool});
    auto const start = p.save();
    for (std::uint64_t k = 0; k != 30; ++k) {
        p.reset(1, k);
        for (std::uint64_t i = 0; i != k; ++i) CHECK(p.next() == 1000 * k + i);
    }
    auto const at29 = p.save();
    auto q = std::move(p);
    CHECK(rest(q) == upto(29'029, 29'050));
    q.load(start);
    CHECK(rest(q) == upto(0, 50));
    q.load(at29);
    CHECK(rest(q) == upto(29'029, 29'050));
}

TEST_CASE("parallel_map: told to forget what is ahead, it makes the next item anew", "[unit][parallel_map]") {
    ps::executor pool(2);
    for (bool behind : {false, true})
        for (std::uint64_t k : {0u, 1u, 17u, 40u}) {
            test::watch w;
            std::atomic<std::uint64_t> factor{1};
            auto f = [&factor](std::uint64_t i) { return i * factor; };
            auto const check = [&](auto p) {
                for (std::uint64_t i = 0; i != k; ++i) CHECK(p.next() == i);
                factor = 1000;
                p.inner().rewind_to_consumer();
                for (std::uint64_t i = k; i != 40; ++i) CHECK(p.next() == 1000 * i);
                CHECK_FALSE(p.next());
            };
            auto p = pipe(w, 40) | ps::parallel_map(f, {.executor = &pool});
            if (behind) check(std::move(p) | ps::prefetch({.items = 8, .executor = &pool}));
            else check(std::move(p));
        }
}

TEST_CASE("parallel_map: batch and world_max behind it", "[unit][parallel_map]") {
    ps::executor pool(2);
    auto p = test::keyed_source(10, {0, 2}) | ps::parallel_map([](int i) { return 2 * i; }, {.executor = &pool});
    CHECK(p.world_max() == 5u);
    CHECK(p.hint() == ps::size_hint{5, 5});
    CHECK(p.next()->value == 0);
    CHECK(p.hint() == ps::size_hint{4, 4});
    auto b = test::keyed_source(10, {0, 2}) | ps::parallel_map([](int i) { return 2 * i; }, {.executor = &pool}) | ps::batch(3);
    CHECK(b.next()->items == std::vector{0, 2, 4});
    CHECK(b.next()->items == std::vector{6, 8});
    CHECK_FALSE(b.next());
}

TEST_CASE("parallel_map: tells what it did", "[unit][parallel_map]") {
    ps::executor pool(1);
    auto f = [](std::int64_t i) {
        std::this_thread::sleep_for(1ms);
        if (i == 3) throw std::runtime_error("three");
        return i;
    };
    auto p = ps::range(10) | ps::parallel_map(f, {.executor = &pool});
    for (int i = 0; i != 11; ++i) try {
            (void)p.next();
        } catch (std::runtime_error const&) {
        }
    auto const s = p.stats().back();
    CHECK(s.name == "parallel_map");
    CHECK(s.items == 9);
    CHECK(s.errors == 1);
    CHECK(s.held == 0);
    CHECK(s.busy_ns >= 10'000'000);
    CHECK(s.wait_in_ns >= 4'000'000);
}

TEST_CASE("parallel_map: wrong options are named", "[unit][parallel_map]") {
    auto const f = [](int i) { return i; };
    for (auto wrong : {-1, 5000}) {
        auto const text = test::error_of<ps::config_error>([&] { (void)ps::parallel_map(f, {.threads = wrong}); return 0; });
        CHECK(text.find(ps::message("threads must be 1 to 1024, got ", wrong, "\n  HINT")) != text.npos);
    }
    auto const text = test::error_of<ps::config_error>([&] { (void)ps::parallel_map(f, {.window = -7}); return 0; });
    CHECK(text.find("window must be 1 to 1000000, got -7\n  HINT") != text.npos);
}

TEST_CASE("parallel_map, unordered: stages that find their items again by number are refused behind it", "[unit][parallel_map]") {
    auto unordered = [] { return ps::range(9) | ps::parallel_map([](auto i) { return i; }, {.threads = 2, .ordered = false}); };
    auto refused = [](auto build) { return test::error_of<ps::config_error>([&] { return (void)build(), 0; }); };
    auto const twice = refused([&] { return unordered() | ps::parallel_map([](auto i) { return i; }, {.threads = 2, .ordered = false}); });
    CHECK(twice.find("got parallel_map({.ordered = false}) before it\n  HINT: ") != twice.npos);
    CHECK(refused([&] { return ps::any(unordered()) | ps::window(2); }).starts_with("window: "));
    CHECK(refused([&] { return unordered() | ps::prefetch(2) | ps::window(2); }).starts_with("window: "));
    auto keyed = [&] { return unordered() | ps::map([](auto i) { return ps::keyed<int>{.id = static_cast<std::uint64_t>(i), .key = std::to_string(i), .value = static_cast<int>(i)}; }); };
    auto ordered = [] { return ps::range(9) | ps::map([](auto i) { return ps::keyed<int>{.id = static_cast<std::uint64_t>(i), .key = std::to_string(i), .value = static_cast<int>(i)}; }); };
    CHECK(refused([&] { return ps::join_by_key(ps::named("a", keyed()), ps::named("b", ordered())); }).starts_with("join_by_key: "));
    CHECK(refused([&] { return ps::join_by_key(ps::named("a", ordered()), ps::named("b", keyed())); }).starts_with("join_by_key: "));
    (void)(unordered() | ps::batch(2));
    (void)(unordered() | ps::parallel_map([](auto i) { return i; }, {.threads = 2}));
}

TEST_CASE("parallel_map, unordered: the end that stages behind it met is loaded, not looked for again", "[unit][parallel_map]") {
    int asked = 0;
    auto const make = [&](auto ahead) {
        return ps::range(40) | ps::parallel_map([](auto i) { return i; }, {.threads = 2, .ordered = false}) | ps::take_while([&asked](auto) { return ++asked % 6 != 0; }) | ahead;
    };
    auto const check = [&](auto ahead) {
        asked = 0;
        auto p = make(ahead);
        p.reset(3, 0);
        for (int i = 0; i != 5; ++i) REQUIRE(p.next());
        REQUIRE(!p.next());
        auto q = make(ahead);
        q.load(ps::state::parse(p.save().text()));
        CHECK(!q.next());
        CHECK(asked == 6);
    };
    check(ps::parallel_map([](auto i) { return i; }, {.threads = 2}));
    check(ps::prefetch(3));
    check(ps::prefetch(30));
}

TEST_CASE("parallel_map, unordered: a batch that an exception left unfinished cannot be saved, and the next one can", "[unit][parallel_map]") {
    auto const make = [] {
        return ps::range(12) | ps::parallel_map([](auto i) { return i; }, {.threads = 2, .ordered = false}) | ps::map([n = 0](auto i) mutable {
                   if (++n == 3) throw std::runtime_error("third");
                   return i;
               }) |
               ps::batch(4);
    };
    auto p = make();
    p.reset(3, 0);
    CHECK_THROWS_AS(p.next(), std::exception);
    auto const text = test::error_of<ps::state_error>([&] { return (void)p.save(), 0; });
    CHECK(text.starts_with("save: batch would have to pull again what an exception interrupted"));
    CHECK(text.find("\n  HINT: save after the next item") != text.npos);
    REQUIRE(p.next());
    CHECK_NOTHROW(p.save());
}
