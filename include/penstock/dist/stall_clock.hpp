// Implements: stall_clock, time that does not pass while this process stands still. std only.
#pragma once

#include <chrono>
#include <mutex>

namespace penstock::dist {

/// What time-outs between ranks are measured with. A process that was stopped (SIGSTOP, Ctrl-Z, a debugger), suspended with its machine or starved cannot
/// say that the others are late: a gap between two questions of more than `gap` is its own pause and does not count. So somebody must ask more often than
/// that: the watch's judge does, ten times a second.
class stall_clock {
    using clock = std::chrono::steady_clock;

public:
    explicit stall_clock(clock::duration gap = std::chrono::seconds(2), clock::time_point start = clock::now()) : gap_(gap), last_(start) {}

    clock::time_point now() {
        std::lock_guard lock(mutex_);  // the clock is read under it: no thread may bring a time older than the last one
        return at(clock::now());
    }
    /// As now(), when the machine's clock says `t`: for tests.
    clock::time_point at(clock::time_point t) {
        if (t - last_ > gap_) lost_ += t - last_;
        last_ = t;
        return t - lost_;
    }

private:
    clock::duration const gap_;
    std::mutex mutex_;  // guards the two below
    clock::time_point last_;
    clock::duration lost_{};
};

}  // namespace penstock::dist
