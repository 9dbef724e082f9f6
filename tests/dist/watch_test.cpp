#include <penstock/dist/watch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <support/catch.hpp>

namespace dist = penstock::dist;
using namespace std::chrono_literals;

namespace {

/// A store whose server answers, fails, or never answers again.
struct moody_store : c10d::HashStore {
    std::atomic<bool> broken{false}, stuck{false}, gone{false};
    using HashStore::set;
    c10::intrusive_ptr<c10d::Store> clone() override { return c10::intrusive_ptr<c10d::Store>::reclaim_copy(this); }
    void set(std::string const& key, std::vector<uint8_t> const& value) override {
        while (stuck && !gone) std::this_thread::sleep_for(5ms);
        if (broken || gone) throw std::runtime_error("Connection reset by peer");
        HashStore::set(key, value);
    }
};

struct fatal {
    std::mutex mutex;
    std::condition_variable cv;
    std::optional<dist::verdict> got;

    dist::watch_options options(std::chrono::milliseconds limit) {
        return {.period = 50ms, .limit = limit, .grace = 100ms, .store = "the store at here:1", .on_fatal = [this](dist::verdict const& v) {
                    std::lock_guard lock(mutex);
                    got = v;
                    cv.notify_all();
                }};
    }
    std::string wait(std::chrono::seconds most = 10s) {
        std::unique_lock lock(mutex);
        cv.wait_for(lock, most, [&] { return got.has_value(); });
        return got ? got->sentence : "";
    }
};

auto store_of_two() {
    auto s = c10::make_intrusive<moody_store>();
    dist::store_ptr base = s;
    base->set("beat/0", dist::beat{}.text());
    base->set("beat/1", dist::beat{.seq = 1, .step = 4, .phase = "computes"}.text());
    return s;
}

std::string text(dist::store_ptr const& s, std::string const& key) { return s->get_to_str(key); }

}  // namespace

TEST_CASE("watch: a rank that falls silent ends the run of one that is stuck", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    dist::watch w(s, 0, 2, f.options(400ms));
    auto const sentence = f.wait();
    CHECK(sentence.find("rank 1 does not answer: last sign of life 0.") == 0);
    CHECK(sentence.find("at step 4, it computes") != sentence.npos);
    CHECK(w.lost()->rank == 1);
}

TEST_CASE("watch: living ranks stay together", "[unit][dist]") {
    fatal f, g;
    auto const s = store_of_two();
    dist::watch a(s, 0, 2, f.options(300ms)), b(s, 1, 2, g.options(300ms));
    std::this_thread::sleep_for(900ms);
    CHECK_FALSE(a.lost());
    CHECK_FALSE(b.lost());
    b.stop();  // says good-bye: that is no silence
    CHECK(dist::beat::parse(text(s, "beat/1")).left);
    std::this_thread::sleep_for(600ms);
    CHECK_FALSE(a.lost());
}

TEST_CASE("watch: the loop's step and phase are published", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    dist::watch w(s, 0, 2, f.options(60s));
    w.step(17);
    w.phase("saves a checkpoint", true);
    w.count_operation();
    std::this_thread::sleep_for(300ms);
    auto const b = dist::beat::parse(text(s, "beat/0"));
    CHECK(b.step == 17);
    CHECK(b.phase == "saves a checkpoint");
    CHECK(b.collective);
    CHECK(b.ops == 1);
    CHECK(b.in_phase_ms >= 100);
}

TEST_CASE("watch: one verdict for all ranks, the first", "[unit][dist]") {
    fatal f, g;
    auto const s = store_of_two();
    dist::watch a(s, 0, 2, f.options(60s)), b(s, 1, 2, g.options(60s));
    CHECK(a.raise({0, "rank 0 failed: no such file"}).rank == 0);
    CHECK(b.raise({1, "rank 1 failed: later"}).sentence == "rank 0 failed: no such file");
    CHECK(b.explain("Connection closed by peer", false).rank == 0);
    CHECK(f.wait() == "rank 0 failed: no such file");  // neither loop comes out by itself here
    CHECK(g.wait() == "rank 0 failed: no such file");
}

TEST_CASE("watch: a broken collective operation is explained by what comes within seconds", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    dist::watch w(s, 0, 2, f.options(60s));
    std::thread parent([&] {
        std::this_thread::sleep_for(300ms);
        dist::store_ptr(s)->compareSet("alarm", "", dist::verdict{1, "rank 1 was killed by signal 9 (SIGKILL)"}.text());
    });
    CHECK(w.explain("Connection closed by peer", false).sentence == "rank 1 was killed by signal 9 (SIGKILL)");
    parent.join();
}

TEST_CASE("watch: without any word, silence explains; without silence, lateness", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    SECTION("silent") {
        dist::watch w(s, 0, 2, f.options(60s));
        CHECK(w.explain("Connection closed by peer", false).sentence.find("rank 1 does not answer") == 0);
    }
    SECTION("late") {
        std::atomic<bool> stop{false};
        std::thread peer([&] {
            for (std::uint64_t n = 2; !stop; ++n) {
                dist::store_ptr(s)->set("beat/1", dist::beat{.seq = n, .step = 5, .in_phase_ms = 2000, .phase = "waits for data"}.text());
                std::this_thread::sleep_for(20ms);
            }
        });
        dist::watch w(s, 0, 2, f.options(60s));
        std::this_thread::sleep_for(200ms);
        auto const sentence = w.explain("no answer within 1 s", true).sentence;
        stop = true;
        peer.join();
        CHECK(sentence.find("rank 1 is late: alive, but at step 5 it waits for data for 2.") == 0);
        CHECK(sentence.find("--step-timeout") != sentence.npos);
    }
}

TEST_CASE("watch: a rank inside a collective operation that another one does not come to is ended, and that one named", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    std::atomic<bool> stop{false}, collective{true};
    std::thread peer([&] {
        auto const begun = std::chrono::steady_clock::now();
        for (std::uint64_t n = 2; !stop; ++n) {
            auto const in_phase = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
            dist::store_ptr(s)->set("beat/1", dist::beat{.seq = n, .step = 5, .collective = collective, .in_phase_ms = in_phase, .phase = "computes"}.text());
            std::this_thread::sleep_for(20ms);
        }
    });
    {
        dist::watch w(s, 0, 2, f.options(500ms));
        w.phase("computes gradients", true);
        std::this_thread::sleep_for(1500ms);
        CHECK_FALSE(w.lost());  // both are in a slow backward
        collective = false;
        CHECK(f.wait().find("rank 1 is late: alive, but at step 5 it computes for ") == 0);
    }
    stop = true;
    peer.join();
}

TEST_CASE("watch: a store that breaks, or never answers again, is a sentence", "[unit][dist]") {
    fatal f;
    auto const s = store_of_two();
    auto o = f.options(500ms);
    SECTION("breaks, served by the launcher") {
        dist::watch w(s, 0, 2, o);
        s->broken = true;
        CHECK(f.wait() == "the store at here:1 is gone, so the launcher that served it is: Connection reset by peer");
    }
    SECTION("breaks, served by rank 1") {
        o.store_rank = 1;
        dist::watch w(s, 0, 2, o);
        s->broken = true;
        CHECK(f.wait() == "rank 1 does not answer: it served the store at here:1, which is gone: Connection reset by peer");
        CHECK(w.lost()->rank == 1);
    }
    SECTION("never answers") {
        dist::watch w(s, 0, 2, o);
        s->stuck = true;
        CHECK(f.wait().find("is gone, so the launcher that served it is: no answer for") != std::string::npos);
        auto const begun = std::chrono::steady_clock::now();
        w.stop();  // must not wait for the call that never returns
        CHECK(std::chrono::steady_clock::now() - begun < 6s);
        s->gone = true;
        std::this_thread::sleep_for(100ms);
    }
}
