// Implements: --nproc=N, the parent that starts its own program N times and answers for the ranks. POSIX only, no torch.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message
#include <penstock/dist/beats.hpp>   // defines: how_it_died

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::dist {

struct spawn_options {
    int nproc = 1;
    std::vector<std::string> args{};                                    ///< argv of a rank, args[0] included
    std::string host{"127.0.0.1"};                                      ///< where the parent serves the store
    int port = 0;
    std::chrono::milliseconds leave{5'000};                             ///< what the others have, once a rank is dead, to end by themselves
    std::chrono::milliseconds term{5'000};                              ///< from SIGTERM to SIGKILL
    std::function<void(int rank, std::string const& how)> on_death{};   ///< the first rank that failed; called on the waiting thread
};

/// How the ranks ended: the first failure decides.
struct spawn_outcome {
    int code = 0;       ///< 0, or exit code of the first failed rank, 128+n if signal n killed it; also 128+n when no rank failed and signal n stopped the run
    int rank = -1;      ///< the rank that failed; -1: none did
    std::string how{};  ///< "was killed by signal 9 (SIGKILL)", "ended with exit code 1"
};

/// Called by a rank early in its main: it dies with its parent, whatever kills the parent. (A rank must not train on without the store.)
inline void die_with_parent() {
    char const* parent = std::getenv("PENSTOCK_PARENT");
    if (!parent) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (std::to_string(::getppid()) == parent) return;  // asked after prctl: the parent may have died before it
    std::fputs("penstock: the parent that started this rank is gone\n", stderr);
    std::_Exit(1);
}

/// Constructed before any thread is: it blocks the signals that the parent waits for, and threads inherit the mask.
class rank_parent {
    using clock = std::chrono::steady_clock;

public:
    rank_parent() {
        ::sigemptyset(&waited_);
        for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&waited_, s);
        ::pthread_sigmask(SIG_BLOCK, &waited_, &before_);
    }
    rank_parent(rank_parent const&) = delete;
    rank_parent& operator=(rank_parent const&) = delete;
    ~rank_parent() {
        for (auto const& c : children_)
            if (c.running) ::kill(c.pid, SIGKILL);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

    /// Starts the ranks and returns when all have ended. A rank that fails gives the others `leave`, then SIGTERM, then SIGKILL.
    spawn_outcome run(spawn_options const& o) {
        start(o);
        spawn_outcome out;
        std::optional<clock::time_point> term, kill;
        int asked = 0;  // how often we were told to stop
        while (reap(o, out)) {
            if (out.rank >= 0 && !term) term = clock::now() + o.leave;
            siginfo_t info{};
            timespec const tick{0, 100'000'000};
            int const s = ::sigtimedwait(&waited_, &info, &tick);
            // The terminal sends Ctrl-C to the whole group: the ranks have it already (SI_KERNEL).
            if (s > 0 && s != SIGCHLD && info.si_code != SI_KERNEL) send(s);
            if ((s == SIGINT || s == SIGTERM) && ++asked == 3) kill = clock::now();
            if (term && !kill && clock::now() >= *term) {
                send(SIGTERM);
                send(SIGCONT);  // a stopped rank cannot act on SIGTERM
                kill = clock::now() + o.term;
            }
            if (kill && clock::now() >= *kill) send(SIGKILL);
        }
        return out;
    }

private:
    struct child {
        pid_t pid = 0;
        bool running = false;
    };

    void start(spawn_options const& o) {
        char self[4096];
        auto const n = ::readlink("/proc/self/exe", self, sizeof self - 1);
        std::string path = n > 0 ? std::string(self, static_cast<std::size_t>(n)) : std::string();
        if (path.empty() || ::access(path.c_str(), X_OK) != 0) path = "/proc/self/exe";  // the file was replaced while we run

        std::vector<char*> argv;
        for (auto const& a : o.args) argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);

        posix_spawnattr_t attr;
        ::posix_spawnattr_init(&attr);
        ::posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
        ::posix_spawnattr_setsigmask(&attr, &before_);
        for (int rank = 0; rank < o.nproc; ++rank) {
            auto env = variables(o, rank);
            std::vector<char*> envp;
            for (auto& e : env) envp.push_back(e.data());
            envp.push_back(nullptr);
            child c{.running = true};
            if (int const e = ::posix_spawn(&c.pid, path.c_str(), nullptr, &attr, argv.data(), envp.data()); e != 0) {
                ::posix_spawnattr_destroy(&attr);
                send(SIGKILL);
                throw config_error(message("--nproc=", o.nproc, ": rank ", rank, " must be startable, got ", std::strerror(e), " for ", path,
                                           "\n  HINT: start fewer ranks, or raise the limit on processes (ulimit -u)"));
            }
            children_.push_back(c);
        }
        ::posix_spawnattr_destroy(&attr);
    }

    static std::vector<std::string> variables(spawn_options const& o, int rank) {
        std::vector<std::string> env;
        for (auto** e = environ; *e; ++e) env.emplace_back(*e);
        auto set = [&](std::string const& name, auto const& value) {
            std::erase_if(env, [&](std::string const& e) { return e.starts_with(name + "="); });
            env.push_back(message(name, '=', value));
        };
        set("RANK", rank);
        set("LOCAL_RANK", rank);
        set("WORLD_SIZE", o.nproc);
        set("LOCAL_WORLD_SIZE", o.nproc);
        set("GROUP_RANK", 0);
        set("MASTER_ADDR", o.host);
        set("MASTER_PORT", o.port);
        set("TORCHELASTIC_USE_AGENT_STORE", "True");
        set("TORCHELASTIC_RUN_ID", message("nproc-", ::getpid()));
        set("TORCHELASTIC_RESTART_COUNT", 0);
        set("PENSTOCK_PARENT", ::getpid());
        return env;
    }

    /// Collects who has ended; false when nobody runs any more.
    bool reap(spawn_options const& o, spawn_outcome& out) {
        bool running = false;
        for (std::size_t i = 0; i < children_.size(); ++i) {
            auto& c = children_[i];
            if (!c.running) continue;
            int status = 0;
            if (::waitpid(c.pid, &status, WNOHANG) != c.pid) {
                running = true;
                continue;
            }
            c.running = false;
            int const code = WIFEXITED(status) ? WEXITSTATUS(status) : 0, signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
            if ((code == 0 && signal == 0) || out.rank >= 0) continue;
            if (code == 128 + SIGTERM || code == 128 + SIGINT || code == 128 + SIGHUP) {  // it was asked to stop, and did so in good order
                out.code = code;
                continue;
            }
            out = {signal ? 128 + signal : code, static_cast<int>(i), how_it_died(code, signal)};
            if (o.on_death) o.on_death(out.rank, out.how);
        }
        return running;
    }

    void send(int signal) const {
        for (auto const& c : children_)
            if (c.running) ::kill(c.pid, signal);  // not reaped yet, so the id is still ours
    }

    sigset_t waited_{}, before_{};
    std::vector<child> children_;
};

}  // namespace penstock::dist
