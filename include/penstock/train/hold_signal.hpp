// Implements: hold_signal, which turns a signal that a write may raise in this thread into the error that write returns.
#pragma once

#include <csignal>
#include <ctime>

#include <pthread.h>

namespace penstock::train::detail {

/// A write above RLIMIT_FSIZE raises SIGXFSZ, one into a pipe without a reader SIGPIPE; by default either kills the process.
/// Held back for this thread, write() returns EFBIG or EPIPE, and what is pending is taken off the queue at the end.
class hold_signal {
public:
    explicit hold_signal(int number) : number_(number) {
        sigemptyset(&set_);
        sigaddset(&set_, number);
        pthread_sigmask(SIG_BLOCK, &set_, &before_);
    }
    hold_signal(hold_signal const&) = delete;
    ~hold_signal() {
        if (sigismember(&before_, number_) == 0) {
            timespec const none{};
            while (sigtimedwait(&set_, nullptr, &none) == number_) {}
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    int number_;
    sigset_t set_, before_;
};

}  // namespace penstock::train::detail
