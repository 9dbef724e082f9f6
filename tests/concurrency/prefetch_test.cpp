#include <penstock/concurrency/prefetch.hpp>

#include "sources.hpp"

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/core/any_pipeline.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using namespace std::chrono_literals;

namespace {
auto pipe(test::watch& w, std::uint64_t n) { return ps::pipeline(test::counted{&w, n}); }

std::vector<std::uint64_t> upto(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> v(to - from);
    std::iota(v.begin(), v.end(), from);
    return v;
}
template <class P>
std::vector<std::uint64_t> rest(P& p) {
    std::vector<std::uint64_t> v;
    while (auto i = p.next()) v.push_back(*i);
    return v;
}
/// Items as they come; a failure is the number 1'000'000 + the one in its text.
template <class P>
std::vector<std::uint64_t> rest_with_errors(P& p) {
    std::vector<std::uint64_t> v;
    while (true) try {
            auto i = p.next();
            if (!i) return v;
            v.push_back(*i);
        } catch (std::runtime_error const& e) {
            v.push_back(1'000'000 + std::stoull(e.what()));
        }
}
/// Every third item fails.
void third_fails(std::uint64_t i) {
    if (i % 3 == 1) throw std::runtime_error(std::to_string(i));
}
}  // namespace

TEST_CASE("prefetch: stage contract", "[unit][prefetch]") {
    ps::executor one(1), two(2), eight(8);
    auto const with = [&](int workers) { return workers == 1 ? &one : workers == 2 ? &two : &eight; };
    auto const same = [](std::vector<int> in) { return in; };
    for (int items : {1, 4, 100}) {
        CAPTURE(items);
        test::battery(test::stage_case{
            .name = ps::message("prefetch(", items, ")"),
            .make = [=](auto src, int workers) { return std::move(src) | ps::prefetch({.items = items, .executor = with(workers)}); },
            .model = same,
            .rounds = 20,
        });
    }
    test::battery(test::stage_case{
        .name = "prefetch(2) | prefetch(3)",
        .make = [=](auto src, int workers) {
            return std::move(src) | ps::prefetch({.items = 2, .executor = with(workers)}) | ps::prefetch({.items = 3, .executor = with(workers)});
        },
        .model = same,
        .rounds = 20,
    });
}

TEST_CASE("prefetch: every item once, in order, epoch after epoch", "[unit][prefetch]") {
    ps::executor pool(2);
    for (auto items : {1, 2, 3, 4, 64})
        for (std::uint64_t n : {0u, 1u, 2u, 7u, 64u, 1000u}) {
            test::watch w;
            auto p = pipe(w, n) | ps::prefetch({.items = items, .executor = &pool});
            CHECK(w.pulls == 0);
            CHECK(rest(p) == upto(0, n));
            for (int i = 0; i != 3; ++i) CHECK_FALSE(p.next());
            p.reset(1, 2);
            CHECK(rest(p) == upto(2000, 2000 + n));
            CHECK_FALSE(w.overlapped);
        }
}

TEST_CASE("prefetch: the example", "[unit][prefetch]") {
    // example-begin prefetch
    auto p = ps::from_vector({10, 20, 30}) | ps::prefetch({.items = 2});    // 10 20 30
    // example-end
    CHECK((std::move(p) | ps::collect()) == std::vector{10, 20, 30});
}

TEST_CASE("prefetch: starts at the first pull and works ahead", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    auto p = pipe(w, 100) | ps::prefetch({.items = 8, .executor = &pool});
    std::this_thread::sleep_for(5ms);
    CHECK(w.pulls == 0);
    CHECK(p.next() == 0u);
    CHECK(test::eventually([&] { return w.pulls >= 8; }));
    std::this_thread::sleep_for(5ms);
    CHECK(w.pulls <= 9);  // full: one delivered, eight held, or seven if it was full before that one was taken
}

TEST_CASE("prefetch: a full one is started again at half, not at every item", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    auto p = pipe(w, 100) | ps::prefetch({.items = 8, .executor = &pool});
    CHECK(p.next());
    REQUIRE(test::eventually([&] { return w.pulls >= 8; }));
    std::this_thread::sleep_for(10ms);
    auto const full = w.pulls.load();  // 8, or 9 if the first was taken before it was full
    for (auto held = full - 1; held != 5; --held) CHECK(p.next());
    std::this_thread::sleep_for(10ms);
    CHECK(w.pulls == full);
    CHECK(p.next());  // four held: half
    CHECK(test::eventually([&] { return w.pulls == full + 4; }));
}

TEST_CASE("prefetch: a consumer that waits gets each item when it is made", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    w.before = [](std::uint64_t) { std::this_thread::sleep_for(2ms); };
    auto p = pipe(w, 100) | ps::prefetch({.items = 1000, .executor = &pool});
    for (std::uint64_t i = 0; i != 5; ++i) CHECK(p.next() == i);
    CHECK(w.pulls < 60);  // five, were the machine ours alone; a hundred and the end, were nobody woken before
}

TEST_CASE("prefetch: errors come in order, consume their item, and it goes on", "[unit][prefetch]") {
    ps::executor pool(2);
    for (auto items : {1, 4, 64}) {
        test::watch w;
        w.before = third_fails;
        auto p = pipe(w, 10) | ps::prefetch({.items = items, .executor = &pool});
        CHECK(rest_with_errors(p) == std::vector<std::uint64_t>{0, 1'000'001, 2, 3, 1'000'004, 5, 6, 1'000'007, 8, 9});
        CHECK_FALSE(p.next());
    }
}

TEST_CASE("prefetch: resumes at every position with items in flight", "[unit][prefetch]") {
    ps::executor pool(2);
    for (auto items : {1, 3, 64})
        for (std::uint64_t n : {0u, 1u, 7u, 40u})
            for (bool failing : {false, true})
                for (std::uint64_t k = 0; k <= n + 1; ++k) {
                    test::watch w;
                    if (failing) w.before = third_fails;
                    auto const make = [&] { return pipe(w, n) | ps::prefetch({.items = items, .executor = &pool}); };
                    auto p = make();
                    p.reset(7, 1);
                    for (std::uint64_t i = 0; i != k; ++i) try {
                            (void)p.next();
                        } catch (std::runtime_error const&) {
                        }
                    auto const s = p.save();
                    auto const again = p.save();
                    CHECK(s == again);
                    auto const tail = rest_with_errors(p);
                    auto q = make();
                    q.load(ps::state::parse(s.text()));
                    CHECK(q.save() == s);
                    CHECK(rest_with_errors(q) == tail);
                    q.reset(7, 3);
                    if (!failing) CHECK(rest(q) == upto(3000, 3000 + n));
                }
}

TEST_CASE("prefetch: what it saves depends on what was delivered, not on how far ahead it is", "[unit][prefetch]") {
    ps::executor pool(1);
    for (auto items : {4, 40}) {
        test::watch fast, slow;
        slow.before = [](std::uint64_t i) {
            if (i > 20) std::this_thread::sleep_for(2ms);
        };
        auto p = pipe(fast, 200) | ps::prefetch({.items = items, .executor = &pool});
        auto q = pipe(slow, 200) | ps::prefetch({.items = items, .executor = &pool});
        for (int i = 0; i != 23; ++i) CHECK(p.next() == q.next());
        test::eventually([&] { return fast.pulls > 23u + static_cast<unsigned>(items) / 2; });
        CHECK(p.save() == q.save());
    }
}

TEST_CASE("prefetch: state is small and says nothing of what is in flight", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    auto p = pipe(w, 1000) | ps::prefetch({.items = 500, .executor = &pool});
    for (int i = 0; i != 10; ++i) CHECK(p.next());
    test::eventually([&] { return w.pulls > 500; });
    CHECK(p.save().text().size() < 300);
    CHECK(p.save().text().find("pulls=10") != std::string::npos);
}

TEST_CASE("prefetch: three in a row finish on one thread, also when that thread is busy", "[unit][prefetch]") {
    test::held_thread busy;
    ps::executor pool(1);
    auto const run = [&] {
        test::watch w;
        auto p = pipe(w, 300) | ps::prefetch({.items = 2, .executor = &pool}) | ps::prefetch({.items = 5, .executor = &pool}) |
                 ps::prefetch({.items = 1, .executor = &pool});
        CHECK(rest(p) == upto(0, 300));
        CHECK_FALSE(w.overlapped);
    };
    for (int i = 0; i != 20; ++i) run();

    pool.post(busy);
    run();
    busy.let_go();
}

TEST_CASE("prefetch: three in a row, slow at random, resume exactly", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    w.before = [](std::uint64_t i) {
        if (i % 7 == 3) std::this_thread::sleep_for(200us);
    };
    auto const make = [&] {
        return pipe(w, 60) | ps::prefetch({.items = 3, .executor = &pool}) | ps::prefetch({.items = 20, .executor = &pool}) |
               ps::prefetch({.items = 2, .executor = &pool});
    };
    for (std::uint64_t k : {0u, 1u, 13u, 37u, 60u, 61u}) {
        auto p = make();
        for (std::uint64_t i = 0; i != k; ++i) (void)p.next();
        auto q = make();
        q.load(p.save());
        CHECK(rest(q) == upto((std::min<std::uint64_t>)(k, 60), 60));
    }
}

TEST_CASE("prefetch: two pipelines share an executor and both move on", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch a, b;
    auto p = pipe(a, 2000) | ps::prefetch({.items = 16, .executor = &pool});
    auto q = pipe(b, 2000) | ps::prefetch({.items = 16, .executor = &pool}) | ps::prefetch({.items = 4, .executor = &pool});
    std::vector<std::uint64_t> x, y;
    for (int i = 0; i != 2000; ++i) {
        x.push_back(p.next().value());
        y.push_back(q.next().value());
    }
    CHECK(x == upto(0, 2000));
    CHECK(y == x);
}

TEST_CASE("prefetch: no thread of its own", "[unit][prefetch]") {
    ps::executor pool(2);
    auto const before = test::threads_of_this_process();
    for (int i = 0; i != 50; ++i) {
        test::watch w;
        auto p = pipe(w, 100) | ps::prefetch({.items = 4, .executor = &pool}) | ps::prefetch({.items = 4, .executor = &pool});
        for (int k = 0; k != 20; ++k) CHECK(p.next());
        CHECK(test::threads_of_this_process() == before);
    }
    CHECK(test::threads_of_this_process() == before);
}

TEST_CASE("prefetch: destroyed in the middle of an epoch, at once", "[unit][prefetch]") {
    ps::executor pool(2);
    double longest = 0;
    for (int i = 0; i != 100; ++i) {
        test::watch w;
        auto p = std::make_unique<ps::pipeline<ps::prefetch_stage<ps::prefetch_stage<test::counted>>>>(
            pipe(w, 10'000) | ps::prefetch({.items = 8, .executor = &pool}) | ps::prefetch({.items = 8, .executor = &pool}));
        for (int k = 0; k != i; ++k) CHECK(p->next());
        auto const from = std::chrono::steady_clock::now();
        p.reset();
        longest = (std::max)(longest, test::ms_since(from));
    }
    CHECK(longest < 200);  // a guard against waiting for the epoch, not a measurement: the machine may be busy
}

TEST_CASE("prefetch: destroyed while a read blocks, through another prefetch too", "[unit][prefetch]") {
    ps::executor pool(1);
    for (int i = 0; i != 100; ++i) {
        std::atomic<bool> blocked{false};
        auto const from = std::chrono::steady_clock::now();
        {
            auto p = ps::pipeline(test::blocking{.free = 3, .blocked = &blocked}) | ps::prefetch({.items = 4, .executor = &pool}) |
                     ps::prefetch({.items = i % 2 ? 8 : 1, .executor = &pool});
            CHECK(p.next() == 2);
            REQUIRE(test::eventually([&] { return blocked.load(); }));
        }
        CHECK(test::ms_since(from) < 2000);
    }
}

TEST_CASE("prefetch: an attached token ends a blocked read with its error, in order", "[unit][prefetch]") {
    ps::executor pool(1);
    std::stop_source stop;
    auto p = ps::pipeline(test::blocking{.free = 2}) | ps::prefetch({.items = 4, .executor = &pool}) | ps::prefetch({.items = 4, .executor = &pool});
    p.attach(stop.get_token());
    CHECK(p.next() == 1);
    std::jthread later([&] {
        std::this_thread::sleep_for(10ms);
        stop.request_stop();
    });
    CHECK(p.next() == 0);
    CHECK_THROWS_WITH(p.next(), "told to stop");
}

TEST_CASE("prefetch: reset and load in the middle start anew, wherever the thread is", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    w.before = [](std::uint64_t i) {
        if (i % 5 == 2) std::this_thread::sleep_for(300us);
    };
    auto p = pipe(w, 50) | ps::prefetch({.items = 6, .executor = &pool}) | ps::prefetch({.items = 2, .executor = &pool});
    auto const start = p.save();
    for (std::uint64_t k = 0; k != 30; ++k) {
        p.reset(1, k);
        for (std::uint64_t i = 0; i != k; ++i) CHECK(p.next() == 1000 * k + i);
    }
    auto const at29 = p.save();
    p.load(start);
    CHECK(rest(p) == upto(0, 50));
    p.load(at29);
    CHECK(rest(p) == upto(29'029, 29'050));
    CHECK_FALSE(w.overlapped);
}

namespace {
/// Multiplies by a value that the test changes meanwhile.
auto times(std::atomic<std::uint64_t>& factor) {
    return ps::map([&factor](std::uint64_t i) { return i * factor; });
}
}  // namespace

TEST_CASE("prefetch: told to forget what is ahead, it makes the next item anew, at every position and depth", "[unit][prefetch]") {
    ps::executor pool(2);
    for (int items : {1, 4, 64})
        for (bool twice : {false, true})
            for (std::uint64_t k : {0u, 1u, 7u, 30u, 39u, 40u}) {
                test::watch w;
                w.before = [](std::uint64_t i) {
                    if (i == 20) throw std::runtime_error("20");  // made again, it fails again, and is counted once
                };
                std::atomic<std::uint64_t> factor{1};
                auto const check = [&](auto p) {
                    auto const pull = [&]() -> std::uint64_t {
                        try {
                            return p.next().value();
                        } catch (std::runtime_error const&) {
                            return 20 * factor;
                        }
                    };
                    for (std::uint64_t i = 0; i != k; ++i) CHECK(pull() == i);
                    test::eventually([&] { return w.pulls > k || items == 1 || k == 0; });  // some are ahead
                    factor = 1000;
                    p.inner().rewind_to_consumer();
                    auto const here = p.save();
                    for (std::uint64_t i = k; i != 40; ++i) CHECK(pull() == 1000 * i);
                    CHECK_FALSE(p.next());
                    CHECK(p.hint() == ps::size_hint{0, 0});
                    p.load(here);
                    for (std::uint64_t i = k; i != 40; ++i) CHECK(pull() == 1000 * i);
                    CHECK_FALSE(w.overlapped);
                };
                auto p = pipe(w, 40) | times(factor) | ps::prefetch({.items = items, .executor = &pool});
                if (twice) check(std::move(p) | ps::prefetch({.items = 3, .executor = &pool}));
                else check(std::move(p));
            }
}

TEST_CASE("prefetch: forgetting again and again loses and repeats nothing", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    auto p = pipe(w, 100) | ps::prefetch({.items = 20, .executor = &pool});
    for (std::uint64_t i = 0; i != 100; ++i) {
        if (i % 3 == 0) p.inner().rewind_to_consumer();
        CHECK(p.next() == i);
    }
    p.inner().rewind_to_consumer();
    CHECK_FALSE(p.next());
}

TEST_CASE("prefetch: hint brackets what is left, world_max stays", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    w.before = third_fails;
    auto p = pipe(w, 10) | ps::prefetch({.items = 3, .executor = &pool});
    CHECK(p.hint() == ps::size_hint{10, 10});
    std::uint64_t left = 7, pulls_left = 10;  // three of ten fail, and count in what the source promises
    for (bool end = false; !end;) {
        CHECK(p.world_max() == 10u);
        auto const h = p.hint();
        CHECK(h.lower <= pulls_left);
        CHECK(h.upper.value() >= left);
        if (pulls_left != 0) --pulls_left;
        try {
            auto const i = p.next();
            if (i) --left;
            end = !i;
        } catch (std::runtime_error const&) {
        }
    }
    CHECK(p.hint() == ps::size_hint{0, 0});
    p.reset(0, 0);
    CHECK(p.hint() == ps::size_hint{10, 10});
}

TEST_CASE("prefetch: tells how long the consumer waited and who was busy", "[unit][prefetch]") {
    ps::executor pool(1);
    test::watch w;
    w.before = [](std::uint64_t) { std::this_thread::sleep_for(1ms); };
    auto p = pipe(w, 20) | ps::prefetch({.items = 4, .executor = &pool});
    CHECK(rest(p).size() == 20);
    test::eventually([&] { return p.stats()[0].items == 20; });  // while a turn runs, what the stages before it tell may be 100 ms old
    auto r = p.stats();
    REQUIRE(r.size() == 2);
    CHECK(r[0].name == "counted");
    CHECK(r[0].items == 20);
    CHECK(r[1].name == "prefetch");
    CHECK(r[1].items == 20);
    CHECK(r[1].held == 0);
    CHECK(r[1].busy_ns >= 20'000'000);
    CHECK(r[1].wait_in_ns >= 15'000'000);  // nothing else to do: it waited nearly all the time

    w.before = nullptr;
    auto q = pipe(w, 20) | ps::prefetch({.items = 20, .executor = &pool});
    CHECK(q.next());
    test::eventually([&] { return q.stats()[1].held == 19; });
    auto const waited = q.stats()[1].wait_in_ns;
    std::this_thread::sleep_for(10ms);
    for (int i = 0; i != 19; ++i) CHECK(q.next());
    CHECK(q.stats()[1].wait_in_ns == waited);  // what is ready costs no wait; whether the end is known yet is another matter
    CHECK_FALSE(q.next());
}

namespace {
/// Moved, never copied or assigned.
struct ticket {
    int const number;
    explicit ticket(int n) : number(n) {}
    ticket(ticket&&) = default;
};
struct tickets {
    using item_type = ticket;
    int left = 30;
    std::optional<ticket> next() { return left == 0 ? std::nullopt : std::optional<ticket>(std::in_place, left--); }
};
}  // namespace

TEST_CASE("prefetch: moves while it works, items that only move too", "[unit][prefetch]") {
    ps::executor pool(1);
    auto p = ps::pipeline(tickets{}) | ps::prefetch({.items = 4, .executor = &pool});
    CHECK(p.next().value().number == 30);
    auto q = std::move(p);
    for (int i = 29; i != 0; --i) CHECK(q.next().value().number == i);
    CHECK_FALSE(q.next());
}

TEST_CASE("prefetch: positions dropped before it arrive behind it, those after the last item too", "[unit][prefetch]") {
    ps::executor pool(1);
    for (int items : {1, 3, 40}) {
        auto p = test::keyed_source(12) | ps::filter([](int i) { return i % 4 == 1; }) | ps::prefetch({.items = items, .executor = &pool}) |
                 ps::prefetch({.items = 2, .executor = &pool});
        std::uint64_t covered = 0;
        CHECK(p.trailing().empty());
        while (auto i = p.next()) covered += i->cover.count();
        CHECK(covered == 10);
        CHECK(p.trailing().count() == 2);
        CHECK(p.trailing().empty());
    }
}

TEST_CASE("prefetch: a wrong depth is named", "[unit][prefetch]") {
    for (auto wrong : {0, -3}) try {
            (void)ps::prefetch(wrong);
            FAIL("accepted");
        } catch (ps::config_error const& e) {
            CHECK(std::string(e.what()).find(ps::message("got ", wrong, "\n  HINT")) != std::string::npos);
        }
}

TEST_CASE("prefetch, parallel_map: of a mix that goes on over an epoch's edge nothing is lost to what was read ahead", "[unit][prefetch]") {
    auto const mix = [](ps::stop_rule stop) {
        return ps::interleave({.stop = stop}, ps::named("a", 2, ps::range(7) | ps::shuffle(3)), ps::named("b", 1, ps::from_vector<std::int64_t>({100, 101, 102, 103, 104})));
    };
    auto const epochs = [](auto p, int n) {
        std::vector<std::int64_t> all;
        for (int e = 0; e != n; ++e) {
            p.reset(5, static_cast<std::uint64_t>(e));
            while (auto i = p.next()) all.push_back(*i);
        }
        return all;
    };
    auto const same = [](std::int64_t i) { return i; };
    ps::executor pool(2);
    auto const wanted = epochs(mix(ps::stop_rule::forever) | ps::take(5), 6);
    CHECK(epochs(mix(ps::stop_rule::forever) | ps::prefetch(20) | ps::take(5), 6) == wanted);
    CHECK(epochs(mix(ps::stop_rule::forever) | ps::parallel_map(same, {.threads = 2, .window = 16, .executor = &pool}) | ps::take(5), 6) == wanted);
    CHECK(epochs(ps::any(mix(ps::stop_rule::forever)) | ps::map(same) | ps::prefetch(20) | ps::take(5), 6) == wanted);
    CHECK(epochs(mix(ps::stop_rule::all_restart) | ps::prefetch(20), 6) == epochs(mix(ps::stop_rule::all_restart), 6));
    std::atomic<bool> open{false}, stuck{false};
    auto const slow = [&, me = std::this_thread::get_id()](std::int64_t i) {  // the first item of the other thread
        if (std::this_thread::get_id() != me && !stuck.exchange(true)) open.wait(false);
        else std::this_thread::sleep_for(200us);
        return i;
    };
    ps::executor one(1);
    auto unordered = ps::interleave({.stop = ps::stop_rule::forever}, ps::named("a", ps::range(50))) | ps::parallel_map(slow, {.threads = 2, .window = 40, .ordered = false, .executor = &one});
    for (int i = 0; i != 30; ++i) CHECK(unordered.next());
    REQUIRE(stuck);
    open = true;
    open.notify_all();
    CHECK(test::error_of<ps::config_error>([&] { return unordered.reset(5, 1), 0; }).find("HINT: {.ordered = true}") != std::string::npos);
    CHECK((mix(ps::stop_rule::forever) | ps::prefetch(20)).goes_on());
    CHECK_FALSE((mix(ps::stop_rule::all) | ps::prefetch(20)).goes_on());
}
