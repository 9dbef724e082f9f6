// Implements: stop_signals, which turns SIGTERM, SIGINT, SIGHUP and SIGUSR1 into a number that a loop reads between two steps.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <ctime>

#include <unistd.h>

namespace penstock::train {

/// While alive, the process finishes its step when it is asked to stop; the former handlers come back afterwards. What the process ignores stays
/// ignored: SIGHUP under nohup, SIGINT in the background of a script.
///
/// Order    the last signal counts, but SIGUSR1 never displaces another one; a second SIGINT, half a second or more after the first, ends the process
///          at once, as without a handler (one key press may arrive twice: from the terminal and from a launcher)
/// Buffers  one number
/// Resume   no state
/// Threads  handlers only store into lock-free atomics; received() may be called from any thread
/// Errors   config_error when a second one is made while the first lives
///
///     stop_signals signals;
///     while (step() && signals.received() == 0) {}    // then save, and exit with 128 + signals.received()
class [[nodiscard]] stop_signals {
public:
    stop_signals() {
        if (alive().exchange(true))
            throw config_error("stop_signals: must be the only one of the process, got a second\n  HINT: pass the first one on");
        last() = 0;
        interrupted() = 0;
        struct sigaction action {};
        action.sa_handler = &on_signal;
        action.sa_flags = SA_RESTART;  // reads of the pipeline and collectives go on: the step is finished first
        sigemptyset(&action.sa_mask);
        for (std::size_t i = 0; i < caught.size(); ++i) {
            ::sigaction(caught[i], nullptr, &before_[i]);
            if ((before_[i].sa_flags & SA_SIGINFO) != 0 || before_[i].sa_handler != SIG_IGN) ::sigaction(caught[i], &action, nullptr);
        }
    }
    stop_signals(stop_signals const&) = delete;
    ~stop_signals() {
        for (std::size_t i = 0; i < caught.size(); ++i) ::sigaction(caught[i], &before_[i], nullptr);
        last() = 0;
        alive() = false;
    }

    /// The number of the last signal, 0 for none.
    [[nodiscard]] int received() const { return last().load(std::memory_order_relaxed); }

    /// The same wherever the one that lives is not at hand; 0 also for SIGUSR1, which ends nothing, and while none lives.
    [[nodiscard]] static int asked_to_stop() {
        auto const number = last().load(std::memory_order_relaxed);
        return number == SIGUSR1 ? 0 : number;
    }

    /// Forgets it: for a signal that asks for a checkpoint and not for an end. Only the one that was seen, not one that came since.
    void clear(int seen) { last().compare_exchange_strong(seen, 0); }

private:
    static constexpr std::array caught{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    static_assert(std::atomic<int>::is_always_lock_free && std::atomic<long long>::is_always_lock_free, "a handler may touch nothing else");

    static std::atomic<int>& last() {
        static constinit std::atomic<int> value{0};
        return value;
    }
    /// When the first SIGINT came, in milliseconds of the monotonic clock, never 0; 0: none came.
    static std::atomic<long long>& interrupted() {
        static constinit std::atomic<long long> value{0};
        return value;
    }
    static std::atomic<bool>& alive() {
        static constinit std::atomic<bool> value{false};
        return value;
    }
    static void on_signal(int number) {
        int const saved = errno;
        if (number == SIGUSR1) {  // asks for less than the others: it must not hide one that was not read yet
            int none = 0;
            last().compare_exchange_strong(none, number);
            errno = saved;
            return;
        }
        last().store(number, std::memory_order_relaxed);
        if (number == SIGINT) {
            timespec t{};
            ::clock_gettime(CLOCK_MONOTONIC, &t);
            auto const now = static_cast<long long>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000 + 1;
            long long first = 0;
            if (!interrupted().compare_exchange_strong(first, now) && now - first >= 500) {
                ::signal(SIGINT, SIG_DFL);  // delivered when this handler returns: SIGINT is blocked inside it
                ::raise(SIGINT);
            }
        }
        errno = saved;
    }

    std::array<struct sigaction, caught.size()> before_{};
};

}  // namespace penstock::train
