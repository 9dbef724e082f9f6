// Implements: pace, the speed of a run over the last seconds and the time that is left.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>

namespace penstock::train {

/// Samples per second over a sliding window, and time left from the steps of that window: a resumed run does not count what another process did.
///
///     pace p;
///     p.see(steps, samples, now);    // totals so far, seconds of any clock
///     p.samples_per_s(); p.seconds_left(steps_to_go);
class pace {
public:
    explicit pace(double window_s = 20) : window_(window_s) {}

    void see(std::uint64_t steps, std::uint64_t samples, double now) {
        if (!marks_.empty() && now - marks_.back().when < window_ / 100) {  // one mark for many fast steps; the newest end is kept apart
            last_ = {steps, samples, now};
            return;
        }
        marks_.push_back({steps, samples, now});
        last_ = marks_.back();
        while (marks_.size() > 2 && marks_[1].when <= now - window_) marks_.pop_front();
    }

    [[nodiscard]] double samples_per_s() const {
        if (marks_.empty() || !(last_.when > marks_.front().when)) return 0;
        return static_cast<double>(last_.samples - marks_.front().samples) / (last_.when - marks_.front().when);
    }
    [[nodiscard]] double seconds_left(std::uint64_t steps_to_go) const {
        if (marks_.empty() || last_.steps == marks_.front().steps) return std::numeric_limits<double>::quiet_NaN();
        return static_cast<double>(steps_to_go) * (last_.when - marks_.front().when) / static_cast<double>(last_.steps - marks_.front().steps);
    }

private:
    struct mark { std::uint64_t steps = 0, samples = 0; double when = 0; };
    double window_;
    std::deque<mark> marks_{};
    mark last_{};
};

}  // namespace penstock::train
