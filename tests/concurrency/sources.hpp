// Implements: what the tests of this room pull from: slow, blocking, throwing and counting sources; threads and time.
#pragma once

#include <penstock/concurrency/executor.hpp>
#include <penstock/core/source.hpp>
#include <penstock/core/stats.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>

namespace penstock::test {

using namespace std::chrono_literals;

inline std::size_t threads_of_this_process() {
    std::size_t n = 0;
    for ([[maybe_unused]] auto const& t : std::filesystem::directory_iterator("/proc/self/task")) ++n;
    return n;
}
inline double ms_since(std::chrono::steady_clock::time_point t) { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t).count(); }

/// Waits until `done()`, at most ten seconds.
template <class F>
bool eventually(F done) {
    auto const from = std::chrono::steady_clock::now();
    while (!done()) {
        if (std::chrono::steady_clock::now() - from > 10s) return false;
        std::this_thread::sleep_for(200us);
    }
    return true;
}

/// What a counted source tells the test, from whatever thread pulls it.
struct watch {
    std::atomic<std::uint64_t> pulls{0};
    std::atomic<int> inside{0};       // threads in next()
    std::atomic<bool> overlapped{false};
    std::function<void(std::uint64_t)> before{};  // called with the item's number; may sleep or throw
};

/// 0, 1, ... n-1 in every epoch, plus 1000 times the epoch; resumable, hinted, planned.
struct counted {
    using item_type = std::uint64_t;
    watch* w;
    std::uint64_t n;
    std::uint64_t at = 0, index = 0;

    std::optional<item_type> next() {
        if (w->inside.fetch_add(1) != 0) w->overlapped = true;
        struct leave {
            watch* w;
            ~leave() { w->inside.fetch_sub(1); }
        } const out{w};
        ++w->pulls;
        if (at == n) return std::nullopt;
        auto const item = at++;
        if (w->before) w->before(item);
        return 1000 * index + item;
    }
    void reset(epoch e) {
        at = 0;
        index = e.index;
    }
    size_hint hint() const { return {n - at, n - at}; }
    chain_facts facts() const { return whole_of(n); }
    void save(state_writer& out) const { out.stage("counted", 1).put("at", at).put("index", index); }
    void load(state_reader& in) {
        auto const r = in.stage("counted", 1);
        at = r.get("at");
        index = r.get("index");
    }
    void stats(stats_report& r) const {
        auto& s = r.emplace_back();
        s.name = "counted";
        s.items = at;
    }
};

/// Yields `free` items, then waits for something that never comes, until it is told to stop.
struct blocking {
    using item_type = int;
    int free = 0;
    std::atomic<bool>* blocked = nullptr;
    std::stop_token token{};

    std::optional<int> next() {
        if (free > 0) return --free;
        std::mutex m;
        std::condition_variable_any never;
        std::unique_lock hold(m);
        if (blocked) *blocked = true;
        never.wait(hold, token, [] { return false; });
        throw std::runtime_error("told to stop");
    }
    void attach(std::stop_token t) { token = std::move(t); }
};

/// A task that keeps a thread until it is let go. Make it before the executor that it is posted to: the thread may come to it late.
struct held_thread final : executor::task {
    std::atomic<bool> open{false};
    held_thread() : task(executor::kind::waits) {}
    void run() noexcept override { open.wait(false); }
    void let_go() {
        open = true;
        open.notify_all();
    }
};

}  // namespace penstock::test
