#include <penstock/concurrency/executor.hpp>

#include <support/allocations.hpp>

#include "sources.hpp"

#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
struct counting_task final : ps::executor::task {
    explicit counting_task(ps::executor::kind k = ps::executor::kind::leaf) : task(k) {}
    std::atomic<int> runs{0};
    std::thread::id ran_on{};
    std::function<void()> body{};
    void run() noexcept override {
        ran_on = std::this_thread::get_id();
        if (body) body();
        ++runs;
    }
};

/// Keeps the only thread of an executor busy until it is let go.
struct plug {
    ps::executor& e;
    std::atomic<bool> open{false};
    counting_task t;
    explicit plug(ps::executor& on) : e(on) {
        std::atomic<bool> inside{false};
        t.body = [this, &inside] {
            inside = true;
            open.wait(false);
        };
        e.post(t);
        test::eventually([&] { return inside.load(); });
    }
    void pull() {
        open = true;
        open.notify_all();
        test::eventually([&] { return t.runs == 1; });
    }
};
}  // namespace

TEST_CASE("executor: runs what is posted, on its own threads", "[unit][executor]") {
    ps::executor e(2);
    std::vector<std::unique_ptr<counting_task>> tasks;
    for (int i = 0; i != 50; ++i) tasks.push_back(std::make_unique<counting_task>());
    for (auto& t : tasks) e.post(*t);
    CHECK(test::eventually([&] { return std::all_of(tasks.begin(), tasks.end(), [](auto& t) { return t->runs == 1; }); }));
    for (auto& t : tasks) CHECK(t->ran_on != std::this_thread::get_id());
}

TEST_CASE("executor: a queued task can be taken back, a running one cannot", "[unit][executor]") {
    ps::executor e(1);
    plug busy(e);
    counting_task a, b, c;
    e.post(a);
    e.post(b);
    e.post(c);
    CHECK(e.take_back(b));
    CHECK_FALSE(e.take_back(b));
    CHECK_FALSE(e.take_back(busy.t));
    busy.pull();
    CHECK(test::eventually([&] { return a.runs == 1 && c.runs == 1; }));
    CHECK(b.runs == 0);
}

TEST_CASE("executor: run_one runs leaf tasks only, oldest first", "[unit][executor]") {
    ps::executor e(1);
    plug busy(e);
    counting_task waits(ps::executor::kind::waits), first, second;
    e.post(waits);
    e.post(first);
    e.post(second);
    CHECK(e.run_one());
    CHECK(first.runs == 1);
    CHECK(second.runs == 0);
    CHECK(first.ran_on == std::this_thread::get_id());
    CHECK(e.run_one());
    CHECK_FALSE(e.run_one());
    CHECK(waits.runs == 0);
    busy.pull();
    CHECK(test::eventually([&] { return waits.runs == 1; }));
}

TEST_CASE("executor: a task may post itself from inside", "[unit][executor]") {
    ps::executor e(1);
    counting_task t;
    t.body = [&] {
        if (t.runs < 99) e.post(t);
    };
    e.post(t);
    CHECK(test::eventually([&] { return t.runs == 100; }));
    CHECK_FALSE(e.take_back(t));
}

TEST_CASE("executor: what is still queued when it ends never runs", "[unit][executor]") {
    counting_task queued;
    {
        auto e = std::make_unique<ps::executor>(1);
        auto busy = std::make_unique<plug>(*e);
        e->post(queued);
        CHECK(e->take_back(queued));
        e->post(queued);
        std::thread later([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            busy->open = true;
            busy->open.notify_all();
        });
        e.reset();
        later.join();
        CHECK(busy->t.runs == 1);
    }
    CHECK(queued.runs == 0);
}

TEST_CASE("executor: waking its threads allocates nothing once it is warm", "[unit][executor]") {
    ps::executor e(1);
    counting_task t;
    auto const round = [&](int n) {
        for (int i = 0; i != n; ++i) {
            auto const before = t.runs.load();
            e.post(t);
            test::eventually([&] { return t.runs != before; });
            std::this_thread::sleep_for(std::chrono::microseconds(50));  // so that the thread sleeps again
        }
    };
    round(10);
    auto const before = test::allocations();
    round(50);
    CHECK(test::allocations() == before);
}

TEST_CASE("executor: the process has one", "[unit][executor]") {
    auto& one = ps::executor::process();
    CHECK(&one == &ps::executor::process());
    CHECK(one.threads() == ps::executor::default_threads());
}

TEST_CASE("executor: a wrong number of threads is named", "[unit][executor]") {
    auto const text_of = [](auto f) {
        try {
            f();
        } catch (ps::config_error const& e) {
            return std::string(e.what());
        }
        return std::string("nothing thrown");
    };
    CHECK(text_of([] { ps::executor e(0); }).find("got 0\n  HINT") != std::string::npos);
    CHECK(text_of([] { ps::executor e(5000); }).find("got 5000\n  HINT") != std::string::npos);
    for (auto const* wrong : {"0", "-1", "two", "3 ", "99999999999"}) {
        ::setenv("PENSTOCK_THREADS", wrong, 1);
        auto const text = text_of([] { (void)ps::executor::default_threads(); });
        ::unsetenv("PENSTOCK_THREADS");
        CHECK(text.find(ps::message("got '", wrong, "'\n  HINT")) != std::string::npos);
    }
    ::setenv("PENSTOCK_THREADS", "3", 1);
    CHECK(ps::executor::default_threads() == 3);
    ::unsetenv("PENSTOCK_THREADS");
    CHECK(ps::executor::default_threads() >= 1);
}
