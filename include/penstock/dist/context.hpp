// Implements: dist::init and dist::context, the ranks of one job and their collective operations.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, message
#include <penstock/core/world.hpp>          // defines: world
#include <penstock/dist/flags.hpp>          // defines: options, take_flags
#include <penstock/dist/launch.hpp>         // defines: launch, read_launch
#include <penstock/dist/process_group.hpp>  // defines: store_ptr, group_ptr, open_store, gloo_group
#include <penstock/dist/report.hpp>         // defines: failure_text, print_failure, is_peer_failure
#include <penstock/dist/spawn.hpp>          // defines: rank_parent, die_with_parent
#include <penstock/dist/streams.hpp>        // defines: keep_streams
#include <penstock/dist/watch.hpp>          // defines: watch, verdict, peer_error

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/env.h>
#include <torch/csrc/distributed/c10d/debug.h>

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::dist {

using work_ptr = c10::intrusive_ptr<c10d::Work>;

/// This process as one rank of its job. Owns the store, the process group and the watch; move-only; one thread uses it at a time.
/// A world of 1 has none of the three: every operation below returns at once.
class context {
public:
    context(context&&) noexcept = default;
    context& operator=(context&&) = delete;

    /// A rank that is a thread of this process, for tests: no watch, no time-out naming; `store` is shared by all (a HashStore).
    static context in_process(store_ptr store, int rank, int size, options o = {}) {
        (void)checked(penstock::world{static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(size)}, "dist::context::in_process(store, rank, size)");
        launch l{.rank = rank, .world = size, .local_rank = rank, .local_world = size, .host = "127.0.0.1", .source = "in process"};
        auto s = std::make_unique<state>(std::move(l), o);
        s->store = std::move(store);
        // c10d's flight recorder is one per process and looks its groups up before it locks: several groups on several threads crash in it
        static std::once_flag once;
        std::call_once(once, [] { c10::utils::set_env("TORCH_FR_BUFFER_SIZE", "0"); });
        if (size > 1) s->group = gloo_group(s->store, s->where, o.init_timeout, o.step_timeout);
        return context(std::move(s));
    }

    /// Closes the context; see close(). During an exception nothing is waited for: the others are told that this rank left.
    ~context() {
        if (!s_ || s_->closed) return;
        if (std::uncaught_exceptions() > s_->exceptions || (s_->watching && s_->watching->lost())) {
            abandon();
            return;
        }
        try {
            close();
        } catch (std::exception const& e) {
            print_failure(s_->where, s_->alone(), "stopped", e.what());
            if (s_->watching) leave_now(exit_peer);  // a job whose last barrier failed must not end with code 0
        }
    }

    int rank() const noexcept { return s_->where.rank; }
    int world_size() const noexcept { return s_->where.world; }
    penstock::world world() const noexcept { return {static_cast<std::uint32_t>(rank()), static_cast<std::uint32_t>(world_size())}; }
    int local_rank() const noexcept { return s_->where.local_rank; }
    int local_world_size() const noexcept { return s_->where.local_world; }
    launch const& where() const noexcept { return s_->where; }
    dist::options const& options() const noexcept { return s_->o; }
    int threads() const noexcept { return s_->threads; }
    at::Device device() const noexcept { return s_->device; }

    /// The process group; in a world of 1 one is made (Gloo, HashStore) when it is first asked for.
    group_ptr const& group() {
        if (!s_->group) s_->group = gloo_group(store(), s_->where, s_->o.init_timeout, s_->o.step_timeout);
        return s_->group;
    }
    store_ptr const& store() {
        if (!s_->store) s_->store = c10::make_intrusive<c10d::HashStore>();
        return s_->store;
    }

    /// What this rank is doing, for the sentence that the others print when it is late: a literal that reads after "it".
    void phase(char const* text) noexcept {
        if (s_->watching) s_->watching->phase(text);
    }
    void step(std::uint64_t n) noexcept {
        if (s_->watching) s_->watching->step(n);
    }
    /// As phase(), for code that waits for other ranks inside: the rank that is *not* in such a phase is the late one.
    void collective_phase(char const* text) noexcept {
        if (!s_->watching) return;
        s_->watching->phase(text, true);
        s_->watching->count_operation();
    }

    /// Throws peer_error when another rank has failed. Cheap: one atomic load.
    void check() const {
        if (!s_->watching) return;
        if (auto v = s_->watching->lost()) throw peer_error(*v);
    }

    /// Waits for a collective operation, at most step_timeout; `what` names it. A failure or delay is a peer_error that names the rank.
    void finish(work_ptr const& work, char const* what) {
        auto const future = work->getFuture();  // not the work itself: Gloo completes the future first, and the work's exception comes later
        if (!future->completed()) wait_for(*future, what);
        if (!future->hasError()) return;
        std::string text = "unknown";
        try {
            std::rethrow_exception(future->exception_ptr());
        } catch (std::exception const& e) {
            text = detail::plain_what(e);
        }
        fail(what, text);
    }

    /// `t` becomes the sum over all ranks (shape and type must agree).
    void all_reduce(at::Tensor& t, c10d::ReduceOp op = c10d::ReduceOp::SUM) {
        if (s_->alone()) return;
        std::vector<at::Tensor> list{t};
        finish(start([&] { return group()->allreduce(list, {.reduceOp = std::move(op)}); }), "all_reduce");
    }
    /// `t` becomes rank `root`'s value.
    void broadcast(at::Tensor& t, int root = 0) {
        if (root < 0 || root >= world_size())
            throw config_error(message("broadcast(t, root): root must be >= 0 and < world, got ", root, ", world ", world_size(), "\n  HINT: ranks count from 0"));
        if (s_->alone()) return;
        std::vector<at::Tensor> list{t};
        finish(start([&] { return group()->broadcast(list, {.rootRank = root}); }), "broadcast");
    }
    /// Returns when every rank has called it.
    void barrier() {
        auto t = at::zeros({1}, at::kLong);
        all_reduce(t);
    }

    /// Begins a collective operation: `f` starts it and returns its work. Errors of starting are named as those of waiting.
    template <class F>
    work_ptr start(F&& f) {
        if (s_->watching) s_->watching->count_operation();
        try {
            return f();
        } catch (std::exception const& e) {
            if (!is_peer_failure(e)) throw;
            fail("a collective operation", detail::plain_what(e));
        }
    }

    /// A collective operation threw `symptom` (inside a backward, say): returns who is to blame, and tells the others.
    verdict explain(std::string const& symptom) {
        if (!s_->watching) return {-1, symptom};
        s_->watching->unwinding();
        return s_->watching->explain(symptom, is_timeout(symptom));
    }

    /// Orderly end, on all ranks: barrier, then watch, group and store are taken down. Called by the destructor; call it yourself to see its errors.
    void close() {
        if (!s_ || s_->closed) return;
        phase("closes");
        if (s_->where.source != "in process") barrier();  // the store must outlive its clients
        s_->closed = true;
        state::active() = nullptr;
        s_->watching.reset();
        if (s_->group) s_->group->shutdown();  // a no-op for Gloo, essential for NCCL
        s_->group.reset();
        if (s_->where.source != "in process" && s_->store && !s_->alone() && !s_->where.agent_store) {
            auto gone = s_->store->add("closed", 1);
            for (int i = 0; i < 500 && rank() == 0 && gone < world_size(); ++i) {
                std::this_thread::sleep_for(milliseconds(10));
                gone = s_->store->add("closed", 0);
            }
        }
        s_->store.reset();
    }

    /// Publishes and prints what ended this rank; returns the exit code. Used by dist::run and by the terminate handler.
    int report(std::exception_ptr error) { return s_->report(error); }
    /// A signal asked this run to stop, and it has saved its work: all ranks say so, and end with exit_code().
    void stopped_by(int signal) noexcept { s_->stopped_by = signal; }
    int exit_code() const noexcept { return s_->stopped_by == 0 ? 0 : 128 + s_->stopped_by; }
    bool in_own_process() const noexcept { return s_->where.source != "in process"; }

private:
    struct state {
        state(launch l, dist::options opt) : where(std::move(l)), o(opt) {}
        ~state() {
            if (active() == this) active() = nullptr;
        }

        bool alone() const noexcept { return where.world == 1; }
        static std::atomic<state*>& active() {  // the context whose process this is; the terminate handler has no other way to it
            static std::atomic<state*> a{nullptr};
            return a;
        }
        int report(std::exception_ptr error) noexcept;

        launch where;
        dist::options o;
        int threads = 1;
        at::Device device = at::kCPU;
        int exceptions = std::uncaught_exceptions();
        bool closed = false;
        int stopped_by = 0;
        store_ptr store;
        group_ptr group;
        std::unique_ptr<watch> watching;
    };

    explicit context(std::unique_ptr<state> s) : s_(std::move(s)) {}
    friend context init(int& argc, char**& argv, dist::options o);
    static void same_job(state& s, store_ptr const& all);
    static void join(state& s);
    static void start_watch(state& s);
    static void set_threads(state& s);
    [[noreturn]] static void be_parent(int nproc, std::vector<std::string> args, dist::options const& o);
    static void on_terminate();

    void wait_for(c10::ivalue::Future& future, char const* what);
    [[noreturn]] void fail(char const* what, std::string const& symptom) {
        if (!s_->watching) throw peer_error({-1, message(what, ": ", symptom)});
        throw peer_error(explain(message(what, ": ", symptom)));
    }
    void abandon() noexcept;

    std::unique_ptr<state> s_;
};

/// Finds out who launched this process, starts ranks for --nproc=N (then this call does not return in the parent), joins the other ranks,
/// and takes its own flags (see dist::options) out of argv. Keeps the process alive when nobody reads what it prints (dist/streams.hpp). Installs a terminate handler, so that an exception that nobody catches
/// still ends as one sentence here and as this rank's name on the others.
/// Errors: config_error for impossible launches; peer_error when a rank does not join within init_timeout.
///
///     auto ctx = dist::init(argc, argv);    // ./prog --nproc=2
context init(int& argc, char**& argv, options o = {});

}  // namespace penstock::dist

#include <penstock/dist/context_impl.hpp>
