// Implements: the parts of dist::context that start, wait and fail.
#pragma once

#include <penstock/dist/context.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace penstock::dist {

inline void context::wait_for(c10::ivalue::Future& future, char const* what) {
    struct signal {
        std::mutex mutex;
        std::condition_variable cv;
        bool done = false;
    };
    auto const s = std::make_shared<signal>();  // shared with the callback, which may come after a time-out has ended this call
    future.addCallback([s](c10::ivalue::Future&) {
        std::lock_guard lock(s->mutex);
        s->done = true;  // under the lock: the waiter tests it under the lock before it sleeps
        s->cv.notify_one();
    });
    auto* const w = s_->watching.get();
    char const* const before = w ? w->phase() : nullptr;
    bool const was_collective = w && w->collective();
    if (w) w->phase("waits for the other ranks", true);
    auto const end = w ? w->now() + s_->o.step_timeout : peer_table::clock::time_point{};
    std::unique_lock lock(s->mutex);
    while (!s->cv.wait_for(lock, milliseconds(100), [&] { return s->done; })) {
        if (w) check();
        if (w && w->now() >= end) {  // without a watch, Gloo's own time-out ends the wait
            lock.unlock();
            fail(what, message("no answer within ", peer_table::seconds(s_->o.step_timeout)));
        }
    }
    if (w && !future.hasError()) w->phase(before, was_collective);
}

/// Two jobs that were given one port do not mix: who serves the store says which job it is of, before anybody uses a key of his own job.
inline void context::same_job(state& s, store_ptr const& all) {
    auto const& l = s.where;
    std::string const key = "penstock/job", mine = "job " + l.job;
    std::string theirs = mine;
    if (l.agent_store) theirs = all->compareSet(key, "", mine);
    else if (l.rank == 0) all->set(key, mine);
    else {
        stall_clock time;
        auto const end = time.now() + s.o.init_timeout;
        while (!all->check({key})) {
            if (time.now() >= end)
                throw config_error(message("dist::init: the store at ", l.host, ':', l.port, " does not say which job it is of, within ", peer_table::seconds(s.o.init_timeout),
                                           "\n  HINT: is it that of another program? Give every job its own MASTER_PORT"));
            std::this_thread::sleep_for(milliseconds(20));
        }
        theirs = all->get_to_str(key);
    }
    if (theirs == mine) return;
    auto const named = [](std::string const& job) { return job.size() == 4 ? std::string("a job without an id") : "job '" + job.substr(4) + '\''; };
    throw config_error(message("dist::init: the store at ", l.host, ':', l.port, " is that of ", named(theirs), ", and this is rank ", l.rank, " of ", named(mine),
                               "\n  HINT: give every job its own MASTER_PORT, and all ranks of one job the same id"));
}

inline void context::join(state& s) {
    auto const me = message("join/", s.where.rank);
    auto const size = s.store->compareSet("size", "", std::to_string(s.where.world));  // the first rank's answer
    if (size != std::to_string(s.where.world))
        throw config_error(message("dist::init: all ranks must be told the same world size, got ", s.where.world, " on rank ", s.where.rank, " and ", size,
                                   " on another\n  HINT: does an older job still use this MASTER_PORT?"));
    if (s.store->add(me, 1) != 1)
        throw config_error(message("dist::init: every rank may join once, got a second rank ", s.where.rank,
                                   "\n  HINT: give every process its own RANK; does another job use this MASTER_PORT? PENSTOCK_JOB_ID tells jobs that are started by hand apart"));
    s.store->set(message("beat/", s.where.rank), beat{.phase = "starts"}.text());
    stall_clock time;
    auto const end = time.now() + s.o.init_timeout;
    int joined = 0;  // ranks 0 .. joined-1 are here
    while (joined < s.where.world) {
        if (s.store->check({message("beat/", joined)})) {
            ++joined;
            continue;
        }
        if (s.store->check({"alarm"})) throw peer_error(verdict::parse(s.store->get_to_str("alarm")));
        if (time.now() >= end) {
            std::string names;
            int missing = 0, first = -1;
            for (int r = joined; r < s.where.world; ++r) {
                if (s.store->check({message("beat/", r)})) continue;
                if (first < 0) first = r;
                if (++missing <= 8) names += message(names.empty() ? "" : ", ", r);
            }
            throw peer_error({first, message("dist::init: ", missing, " of ", s.where.world, " ranks did not join within ", peer_table::seconds(s.o.init_timeout), ": rank ", names,
                                             missing > 8 ? ", ..." : "", "\n  HINT: look at their output, or raise --init-timeout")});
        }
        std::this_thread::sleep_for(milliseconds(20));
    }
}

inline void context::start_watch(state& s) {
    watch_options w{.limit = s.o.step_timeout};
    w.store = message("the store at ", s.where.host, ':', s.where.port);
    w.store_rank = s.where.agent_store ? -1 : 0;
    w.on_fatal = [&s](verdict const& v) {  // on the judge's thread, which ~watch joins before `s` goes
        print_failure(s.where, false, "stopped", v.sentence);
        s.watching->linger();
        leave_now(exit_peer);
    };
    s.watching = std::make_unique<watch>(s.store, s.where.rank, s.where.world, std::move(w));
}

inline void context::set_threads(state& s) {
    cpu_set_t set;
    int const cores = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(std::thread::hardware_concurrency());
    if (s.o.threads_per_rank > 0) at::set_num_threads(s.o.threads_per_rank);
    else if (!std::getenv("OMP_NUM_THREADS")) at::set_num_threads((std::max)(1, cores / s.where.local_world));
    s.threads = at::get_num_threads();
}

inline void context::be_parent(int nproc, std::vector<std::string> args, dist::options const& o) {
    int code = exit_own;
    try {
        rank_parent parent;  // first: threads inherit the mask
        spawn_options run{.nproc = nproc, .args = std::move(args)};
        int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // bound here to loopback: no race for the port, nobody from outside
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd, 1024) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw config_error(message("--nproc=", nproc, ": a port on 127.0.0.1 is needed, got ", std::strerror(errno), "\n  HINT: is the loopback interface up?"));
        run.port = ntohs(at.sin_port);
        c10d::TCPStoreOptions so;
        so.port = static_cast<std::uint16_t>(run.port);
        so.isServer = true;
        so.waitWorkers = false;
        so.timeout = o.init_timeout;
        so.masterListenFd = fd;
        store_ptr const served = c10::make_intrusive<c10d::TCPStore>(run.host, so);
        auto const store = c10::make_intrusive<c10d::PrefixStore>(message("nproc-", ::getpid(), "/0"), served);
        std::string sentence;
        run.on_death = [&](int rank, std::string const& how) {  // the first word counts: a rank that said why it ends is not overruled
            sentence = verdict::parse(store_ptr(store)->compareSet("alarm", "", verdict{rank, message("rank ", rank, ' ', how)}.text())).sentence;
        };
        auto const out = parent.run(run);
        code = out.code;
        if (!sentence.empty()) {
            auto const line = message("penstock: all ", nproc, " ranks have ended: ", sentence, '\n');
            std::fwrite(line.data(), 1, line.size(), stderr);
        }
    } catch (std::exception const& e) {
        std::fprintf(stderr, "penstock: %s\n", detail::plain_what(e).c_str());
    }
    std::exit(code);
}

inline int context::state::report(std::exception_ptr error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& e) {
        auto text = detail::plain_what(e);
        if (!watching) {
            bool const peer = dynamic_cast<peer_error const*>(&e) != nullptr;
            print_failure(where, alone(), peer ? "stopped" : "error", text);
            return peer ? exit_peer : exit_own;
        }
        watching->unwinding();
        if (auto const* p = dynamic_cast<peer_error const*>(&e)) {
            print_failure(where, false, "stopped", watching->raise({p->rank, text}).sentence);
        } else if (is_peer_failure(e)) {
            print_failure(where, false, "stopped", watching->explain(text, is_timeout(text)).sentence);
        } else {
            print_failure(where, false, "error", text);
            (void)watching->raise({where.rank, message("rank ", where.rank, " failed: ", text)});
            watching->linger();
            return exit_own;
        }
        watching->linger();
        return exit_peer;
    } catch (...) {
        print_failure(where, alone(), "error", "an exception that is not a std::exception");
        if (watching) (void)watching->raise({where.rank, message("rank ", where.rank, " failed: an exception that is not a std::exception")});
        if (watching) watching->linger();
        return exit_own;
    }
}

inline void context::abandon() noexcept {
    state::active() = nullptr;
    if (!s_->watching) return;
    auto const v = s_->watching->raise({rank(), message("rank ", rank(), " failed: it left with an exception, see its own output")});
    s_->watching->linger();
    s_->watching.reset();
    s_->closed = true;
}

inline void context::on_terminate() {
    auto* const s = state::active().exchange(nullptr);
    auto const error = std::current_exception();
    if (!s || !error) std::abort();
    leave_now(s->report(error));
}

inline context init(int& argc, char**& argv, options o) {
    keep_streams();
    auto flags = detail::take_flags(argc, argv, o);
    auto l = read_launch(process_environment(), flags.nproc);
    if (l.spawn > 0) context::be_parent(l.spawn, std::move(flags.for_ranks), o);
    if (l.source == "--nproc") die_with_parent();
    c10d::setDebugLevelFromEnvironment();
    auto s = std::make_unique<context::state>(std::move(l), o);
    context::set_threads(*s);
    context::state::active() = s.get();
    std::set_terminate(&context::on_terminate);
    if (!s->alone()) {
        auto const all = open_store(s->where, o.init_timeout);
        try {
            context::same_job(*s, all);
            s->store = c10::make_intrusive<c10d::PrefixStore>(s->where.run_id, all);
            context::join(*s);
        } catch (c10::DistError const& e) {
            auto const server = s->where.agent_store ? std::string("the launcher that served it is gone") : std::string("rank 0, which served it, has ended");
            throw peer_error({s->where.agent_store ? -1 : 0, message("dist::init: the store at ", s->where.host, ':', s->where.port, " was lost while the ranks joined: ", server,
                                                                     " (", detail::plain_what(e), ")\n  HINT: look at its output")});
        }
        context::start_watch(*s);
        if (s->where.rank == 0 && !o.quiet)
            std::fprintf(stderr, "penstock: %d ranks (%s%s%s), store at %s:%d, %d thread%s per rank%s\n", s->where.world, s->where.source.c_str(),
                         s->where.job.empty() ? ", no job id" : ", job ", s->where.job.c_str(), s->where.host.c_str(), s->where.port, s->threads, s->threads == 1 ? "" : "s", std::getenv("OMP_NUM_THREADS") ? " (OMP_NUM_THREADS)" : "");
        try {
            // Operations have no time-out of their own: Gloo's clock goes on while the process is stopped. The watch and finish() end what does not end.
            s->group = gloo_group(s->store, s->where, o.init_timeout, std::chrono::hours(24 * 365));
        } catch (std::exception const& e) {
            if (!is_peer_failure(e)) throw;
            throw peer_error(s->watching->explain(message("connecting the ranks: ", detail::plain_what(e)), is_timeout(e.what())));
        }
    }
    return context(std::move(s));
}

}  // namespace penstock::dist
