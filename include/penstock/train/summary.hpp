// Implements: the table at the end of a run: metrics, speed, and where the time went.
#pragma once

#include <penstock/train/progress_text.hpp>  // defines: grouped, duration, number, rate

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::train {

/// Where the time of a step goes.
enum class phase {
    data,     ///< waiting for the next batch
    compute,  ///< forward, backward, optimizer
    comm,     ///< waiting for other ranks
    save,     ///< checkpoints
    validate, ///< validation, its own waiting for data included
};

/// Seconds per phase. A scope charges its phase until it ends; an inner scope stops the outer one meanwhile, so phases never overlap.
///
///     time_split split;
///     { auto in = split.time(phase::data); batch = pipeline.next(); }
class time_split {
public:
    class [[nodiscard]] scope {
    public:
        scope(time_split& owner, phase p) : owner_(owner), outer_(owner.current_) { owner_.enter(static_cast<int>(p)); }
        scope(scope const&) = delete;
        ~scope() { owner_.enter(outer_); }

    private:
        time_split& owner_;
        int outer_;
    };
    scope time(phase p) { return {*this, p}; }

    [[nodiscard]] double seconds(phase p) const { return seconds_[static_cast<std::size_t>(p)]; }

private:
    void enter(int next) {
        auto const now = std::chrono::steady_clock::now();
        if (current_ >= 0) seconds_[static_cast<std::size_t>(current_)] += std::chrono::duration<double>(now - since_).count();
        since_ = now;
        current_ = next;
    }
    std::array<double, 5> seconds_{};
    int current_ = -1;
    std::chrono::steady_clock::time_point since_{};
};

/// Which value of a metric is its best one. Nobody guesses it from the name.
enum class best { unsaid, highest, lowest };

/// The last and the best value of a metric.
struct tracked_metric {
    std::string name{};
    train::best direction = train::best::unsaid;
    double last = std::numeric_limits<double>::quiet_NaN();
    double best = std::numeric_limits<double>::quiet_NaN();
    std::uint64_t best_step = 0;

    /// True when `value` is the best so far. NaN never is, and nothing is while nobody has said which is best.
    bool see(double value, std::uint64_t step) {
        last = value;
        if (direction == train::best::unsaid) return false;
        bool const better = !std::isnan(value) && (std::isnan(best) || (direction == train::best::highest ? value > best : value < best));
        if (better) best = value, best_step = step;
        return better;
    }
};

struct run_summary {
    std::uint64_t epochs = 0, steps = 0, skipped_steps = 0, weightless_steps = 0, samples = 0, left_out = 0, left_out_parts = 0;
    double seconds = 0;
    double data_s = 0, compute_s = 0, comm_s = 0, save_s = 0, validate_s = 0;
    std::vector<tracked_metric> metrics{};
};

/// The table as text, ending with a line break.
inline std::string summary_table(run_summary const& s) {
    auto padded = [](std::string text, std::size_t width) { return text.append(width > text.size() ? width - text.size() : 0, ' '); };
    std::size_t name = 8;
    for (auto const& m : s.metrics) name = (std::max)(name, m.name.size());
    name += 2;
    std::string out;
    auto line = [&](std::string const& head, std::string const& text) { out += "  " + padded(head, name) + text + "\n"; };
    line("epochs", grouped(s.epochs));
    auto const listed = [](std::vector<std::string> const& all) {
        std::string text;
        for (auto const& one : all) text += (text.empty() ? "" : ", ") + one;
        return text;
    };
    std::vector<std::string> idle, left_out;
    if (s.skipped_steps != 0) idle.push_back(grouped(s.skipped_steps) + " skipped");
    if (s.weightless_steps != 0) idle.push_back(grouped(s.weightless_steps) + " without weight");
    if (s.left_out != 0) left_out.push_back(detail::counted(s.left_out, "sample"));
    if (s.left_out_parts != 0) left_out.push_back(detail::counted(s.left_out_parts, "part") + " of shards");
    line("steps", grouped(s.steps) + (idle.empty() ? "" : " (" + listed(idle) + ")"));
    line("samples", grouped(s.samples) + (s.seconds > 0 ? " (" + rate(static_cast<double>(s.samples) / s.seconds) + " per second)" : ""));
    if (!left_out.empty()) line("left out", listed(left_out));
    line("time", duration(s.seconds));
    if (s.seconds > 0) {
        struct part { char const* name; double seconds; };
        auto const rest = (std::max)(0.0, s.seconds - s.data_s - s.compute_s - s.comm_s - s.save_s - s.validate_s);
        for (auto const& p : {part{"compute", s.compute_s}, part{"data wait", s.data_s}, part{"other ranks", s.comm_s}, part{"validation", s.validate_s}, part{"saving", s.save_s}, part{"other", rest}}) {
            char text[64];
            std::snprintf(text, sizeof text, "%-12s%6.1f s %6.1f %%", p.name, p.seconds, 100 * p.seconds / s.seconds);
            line("", text);
        }
    }
    if (!s.metrics.empty()) line("metric", padded("last", 12) + padded("best", 12) + "at step");
    for (auto const& m : s.metrics)
        line(m.name, padded(number(m.last), 12) + padded(std::isnan(m.best) ? "-" : number(m.best), 12) + (std::isnan(m.best) ? "-" : grouped(m.best_step)));
    return out;
}

}  // namespace penstock::train
