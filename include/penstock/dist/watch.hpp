// Implements: the watch of a rank: it publishes signs of life, sees the others', and names the rank that failed.
#pragma once

#include <penstock/dist/beats.hpp>          // defines: beat, verdict, peer_error, peer_table
#include <penstock/dist/process_group.hpp>  // defines: store_ptr, plain_what
#include <penstock/dist/stall_clock.hpp>    // defines: stall_clock

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::dist {

struct watch_options {
    milliseconds period{500};                          ///< between two beats
    milliseconds limit{60'000};                        ///< a rank that is silent so long is given up
    milliseconds grace{3'000};                         ///< what the loop has to come out by itself once the run is lost
    std::string store{"the store"};                    ///< how sentences call the store
    int store_rank = -1;                               ///< the rank that serves it; -1: the launcher does
    std::function<void(verdict const&)> on_fatal{};    ///< called once, on the judge's thread, when the grace is over
};

/// Two threads per rank, both asleep nearly always. The *pulse* is the only one that talks to the store: a call into a store whose server
/// is stopped never returns, so neither the loop nor the judge may make one. The *judge* reads what the pulse saw and ends the process
/// when the run is lost and the loop does not come out by itself, for instance from inside a collective operation.
/// The loop's thread sets atomics and asks the clock, and takes the lock only once something has failed. A pause of this process (Ctrl-Z, a closed
/// lid) is nobody's fault: all is measured with a stall_clock.
class watch {
    using clock = std::chrono::steady_clock;

public:
    /// `beat/<r>` of every rank must exist in `store` already: reading a missing key would block.
    watch(store_ptr const& store, int rank, int world, watch_options options) : s_(std::make_shared<shared>(store->clone(), rank, world, std::move(options))) {
        s_->store->setTimeout(milliseconds(5'000));
        pulse_ = std::thread([s = s_] { s->pulse(); });
        judge_ = std::thread([s = s_] { s->judge(); });
    }
    watch(watch const&) = delete;
    watch& operator=(watch const&) = delete;
    ~watch() { stop(); }

    /// `text` must live for ever (a literal) and read after "it".
    void phase(char const* text, bool collective = false) noexcept {
        s_->collective.store(collective, std::memory_order_relaxed);
        s_->phase.store(text, std::memory_order_relaxed);
        s_->since.store(s_->time.now().time_since_epoch().count(), std::memory_order_relaxed);
    }
    /// Time that does not pass while this process stands still: what a wait for other ranks is measured with.
    clock::time_point now() { return s_->time.now(); }
    char const* phase() const noexcept { return s_->phase.load(std::memory_order_relaxed); }
    bool collective() const noexcept { return s_->collective.load(std::memory_order_relaxed); }
    void step(std::uint64_t n) noexcept { s_->step.store(n, std::memory_order_relaxed); }
    void count_operation() noexcept { s_->ops.fetch_add(1, std::memory_order_relaxed); }

    /// What ended the run, once something did.
    std::optional<verdict> lost() const {
        if (!s_->is_lost.load(std::memory_order_acquire)) return std::nullopt;
        std::lock_guard lock(s_->mutex);
        return s_->alarm;
    }

    /// Tells all ranks that the run is lost; the first verdict wins and is returned. Waits at most 3 s for the store.
    verdict raise(verdict v) {
        std::unique_lock lock(s_->mutex);
        s_->lose(std::move(v));
        s_->cv.wait_for(lock, std::chrono::seconds(3), [&] { return s_->published || s_->io_ended; });
        return *s_->alarm;
    }

    /// A collective operation failed with `symptom`: who is to blame? Waits up to 2.5 s for evidence, none if `timed_out` (everybody has had
    /// the time to show it).
    verdict explain(std::string const& symptom, bool timed_out) {
        std::unique_lock lock(s_->mutex);
        auto const known = [&] { return s_->alarm.has_value(); };
        auto const round = s_->rounds;
        s_->cv.wait_for(lock, timed_out ? 3 * s_->o.period : milliseconds(2'500), [&] { return known() || (timed_out && s_->rounds >= round + 2); });
        if (!known()) s_->lose(s_->judge_by_beats(symptom));
        s_->cv.wait_for(lock, std::chrono::seconds(3), [&] { return s_->published || s_->io_ended; });  // a peer may have been first: speak with one voice
        return *s_->alarm;
    }

    /// The loop has noticed and unwinds: the judge gives it 10 s more, once.
    void unwinding() noexcept {
        std::lock_guard lock(s_->mutex);
        s_->extra = std::chrono::seconds(10);
    }

    /// When this rank serves the store: waits (3 s at most) until the others have read the verdict, because the store dies with this process.
    void linger() noexcept {
        std::unique_lock lock(s_->mutex);
        if (s_->o.store_rank != s_->rank || !s_->alarm) return;
        s_->cv.wait_for(lock, std::chrono::seconds(3), [&] { return s_->heard >= s_->world - 1 || s_->io_ended; });
    }

    /// Says good-bye (a rank that has left is not "silent") and ends both threads. A pulse that is stuck in a store call is left behind: it owns
    /// all it touches, and that happens only when the store's server has vanished and the process is about to end.
    void stop() noexcept {
        if (!judge_.joinable()) return;
        bool ended = false;
        {
            std::unique_lock lock(s_->mutex);
            s_->stopping = true;  // under the lock: the threads test it under the lock before they sleep
            s_->cv.notify_all();
            ended = s_->cv.wait_for(lock, std::chrono::seconds(3), [&] { return s_->io_ended; });
        }
        judge_.join();
        if (ended) pulse_.join();
        else pulse_.detach();
    }

private:
    struct shared {
        shared(store_ptr st, int r, int w, watch_options opt) : store(std::move(st)), rank(r), world(w), o(std::move(opt)), peers(r, w) {
            since.store(time.now().time_since_epoch().count());
        }

        store_ptr store;  // the pulse's own connection
        int const rank, world;
        watch_options const o;
        mutable stall_clock time{};

        std::atomic<char const*> phase{"starts"};
        std::atomic<bool> collective{false}, is_lost{false};
        std::atomic<std::uint64_t> step{0}, ops{0};
        std::atomic<clock::rep> since{0};

        std::mutex mutex;  // guards all below
        std::condition_variable cv;
        peer_table peers;
        std::optional<verdict> alarm;
        bool published = false;  // the alarm is in the store (ours or another rank's)
        bool stopping = false, io_ended = false;
        std::string io_error;
        clock::time_point io_ok = time.now(), lost_at{};
        clock::duration extra{};
        std::uint64_t rounds = 0;  // complete reads of the beats
        int heard = 0;             // ranks that have read the alarm

        void lose(verdict v) {  // under the lock
            if (alarm) return;
            alarm = std::move(v);
            lost_at = time.now();
            is_lost.store(true, std::memory_order_release);
            cv.notify_all();
        }

        verdict judge_by_beats(std::string const& symptom) const {  // under the lock
            auto const now = time.now();
            if (!io_error.empty()) return store_gone();
            if (auto v = peers.silent(3 * o.period)) return *v;
            if (auto v = peers.late(ops.load(), now)) {
                v->sentence += "\n  HINT: if that is normal work, raise --step-timeout";
                return *v;
            }
            auto const me = now_beat(0);
            return {-1, message("the ranks wait for each other, so they are not in the same operation: ", symptom, " (rank ", rank, " at step ", me.step, ' ', me.phase, "; ",
                                peers.states(now), ")\n  HINT: every rank must make the same calls in the same order")};
        }

        verdict store_gone() const {  // under the lock
            auto const cause = io_error.empty() ? message("no answer for ", peer_table::seconds(time.now() - io_ok)) : io_error;
            if (o.store_rank < 0) return {-1, message(o.store, " is gone, so the launcher that served it is: ", cause)};
            return {o.store_rank, message("rank ", o.store_rank, " does not answer: it served ", o.store, ", which is gone: ", cause)};
        }

        beat now_beat(std::uint64_t seq) const {
            beat b{.seq = seq, .step = step.load(), .ops = ops.load(), .collective = collective.load()};
            b.phase = phase.load();
            b.in_phase_ms = std::chrono::duration_cast<milliseconds>(in_phase(time.now())).count();
            return b;
        }
        clock::duration in_phase(clock::time_point now) const { return now.time_since_epoch() - clock::duration(since.load()); }

        /// This rank waits inside a collective operation that nobody can wake it from (of a backward, say), and another one has not come for as long.
        /// Where all ranks are in theirs, a slow backward is the likelier reason: that is given ten times the limit.
        std::optional<verdict> stuck(clock::time_point now) const {  // under the lock
            if (!collective.load() || in_phase(now) < o.limit || peers.silent(3 * o.period)) return std::nullopt;  // silence has a limit of its own
            if (auto v = peers.late(ops.load(), now, o.limit)) {
                v->sentence += "\n  HINT: if that is normal work, raise --step-timeout";
                return v;
            }
            if (in_phase(now) < 10 * o.limit) return std::nullopt;
            return judge_by_beats(message("no end within ", peer_table::seconds(10 * o.limit)));
        }

        void pulse() noexcept {
            std::uint64_t seq = 0;
            int next = 0;
            bool told = false;
            auto const mine = message("beat/", rank);
            std::unique_lock lock(mutex);
            try {
                while (true) {
                    bool const last = stopping;
                    auto const outgoing = alarm;
                    lock.unlock();  // never hold the lock in a store call: it may take for ever
                    auto b = now_beat(++seq);
                    b.left = last && !outgoing;
                    store->set(mine, b.text());
                    std::optional<verdict> incoming;
                    if (outgoing && !told) {
                        auto const winner = store->compareSet("alarm", "", outgoing->text());  // the first verdict wins on all ranks
                        incoming = verdict::parse(winner);
                    } else if (!told && store->check({"alarm"})) {
                        incoming = verdict::parse(store->get_to_str("alarm"));
                    }
                    if (incoming) store->add("heard", 1);
                    told = told || incoming;
                    auto const ears = told && o.store_rank == rank ? static_cast<int>(store->add("heard", 0)) - 1 : 0;
                    auto const read = last ? std::vector<beat>{} : read_beats(next);
                    lock.lock();
                    auto const now = io_ok = time.now();
                    heard = ears;
                    for (std::size_t i = 0; i < read.size(); ++i) peers.update((next + static_cast<int>(i)) % world, read[i], now);
                    next = (next + static_cast<int>(read.size())) % world;
                    if (next == 0) ++rounds;
                    if (incoming) {
                        lose(*incoming);
                        *alarm = *incoming;
                        published = true;
                    }
                    cv.notify_all();
                    if (last) break;
                    auto const wait = told ? milliseconds(100) : o.period;
                    cv.wait_for(lock, wait, [&] { return stopping || (alarm && !told); });
                }
            } catch (std::exception const& e) {
                if (!lock.owns_lock()) lock.lock();
                io_error = detail::plain_what(e);
            }
            io_ended = true;
            cv.notify_all();
        }

        /// At most 32 ranks a round: a beat of a world of 1024 must not cost a million values each half second.
        std::vector<beat> read_beats(int from) {
            std::vector<std::string> keys;
            for (int i = 0; i < (std::min)(world, 32); ++i) {
                keys.push_back(message("beat/", (from + i) % world));
                if ((from + i + 1) % world == 0) break;
            }
            std::vector<beat> out;
            for (auto const& bytes : store->multiGet(keys)) out.push_back(beat::parse(std::string(bytes.begin(), bytes.end())));
            return out;
        }

        void judge() noexcept {
            std::unique_lock lock(mutex);
            while (!stopping) {
                cv.wait_for(lock, milliseconds(100), [&] { return stopping; });
                auto const now = time.now();
                if (stopping) return;
                if (!alarm) {
                    if (io_ended || now - io_ok > (std::min)(o.limit, milliseconds(30'000))) lose(store_gone());
                    else if (auto v = peers.silent(o.limit)) lose(std::move(*v));
                    else if (auto s = stuck(now)) lose(std::move(*s));  // after the loop's own waits, which end by themselves at the limit, have had their time
                    continue;
                }
                if (now - lost_at < o.grace + extra) continue;
                auto const v = *alarm;
                lock.unlock();
                if (o.on_fatal) o.on_fatal(v);
                return;
            }
        }
    };

    std::shared_ptr<shared> s_;
    std::thread pulse_, judge_;
};

}  // namespace penstock::dist
