// Implements: the words of a progress line: counts, durations, the bar. Pure functions, no terminal.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace penstock::train {

/// Where a run is. Epochs and steps count from 1 once begun; 0 in a total means unknown.
struct progress_view {
    std::uint64_t epoch = 0, epochs = 0;
    std::uint64_t step = 0, steps = 0;  ///< of this epoch
    double loss = std::numeric_limits<double>::quiet_NaN();
    double samples_per_s = 0;
    double seconds_left = std::numeric_limits<double>::quiet_NaN();  ///< of the run
    double waiting = 0;                                              ///< share of the time spent waiting for data, 0..1
    std::uint64_t skipped = 0, weightless = 0;                       ///< steps; shown when there are any, as what follows
    std::uint64_t left_out = 0, left_out_parts = 0;                  ///< samples; parts of shards
};

/// 1234567 -> "1,234,567"
inline std::string grouped(std::uint64_t n) {
    auto text = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), 1, ',');
    return text;
}

/// 83 -> "1:23", 3700 -> "1:01:40", 200000 -> "2d 07:33"; unknown -> "--:--"
inline std::string duration(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "--:--";
    auto const s = static_cast<unsigned long>(std::llround(seconds));
    char text[48];
    if (s < 3600) std::snprintf(text, sizeof text, "%lu:%02lu", s / 60, s % 60);
    else if (s < 86400) std::snprintf(text, sizeof text, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else std::snprintf(text, sizeof text, "%lud %02lu:%02lu", s / 86400, s / 3600 % 24, s / 60 % 60);
    return text;
}

/// Four significant digits: 0.4312, 12.35, 1.235e+06
inline std::string number(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", x);
    return text;
}

/// 9.4 -> "9.4", 940.3 -> "940", 9403 -> "9,403"
inline std::string rate(double per_s) {
    if (!std::isfinite(per_s) || per_s < 0 || per_s > 1e15) return "-";
    if (per_s >= 100) return grouped(static_cast<std::uint64_t>(std::llround(per_s)));
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", per_s);
    return text;
}

namespace detail {

inline std::string counted(std::uint64_t n, std::string const& what) { return grouped(n) + " " + what + (n == 1 ? "" : "s"); }

inline std::string of(std::uint64_t n, std::uint64_t total) { return total == 0 ? grouped(n) : grouped(n) + "/" + grouped(total); }

/// What a run went on without; nothing where there was nothing.
inline std::vector<std::string> losses(progress_view const& v) {
    std::vector<std::string> out;
    if (v.skipped != 0) out.push_back(counted(v.skipped, "step") + " skipped");
    if (v.weightless != 0) out.push_back(counted(v.weightless, "step") + " without weight");
    if (v.left_out != 0) out.push_back(counted(v.left_out, "sample") + " left out");
    if (v.left_out_parts != 0) out.push_back(counted(v.left_out_parts, "part") + " of shards left out");
    return out;
}

inline std::vector<std::string> words(progress_view const& v) {
    auto const percent = static_cast<int>(std::lround(100 * std::clamp(std::isnan(v.waiting) ? 0.0 : v.waiting, 0.0, 1.0)));
    std::vector<std::string> out{"epoch " + of(v.epoch, v.epochs),     "step " + of(v.step, v.steps),      "loss " + (std::isnan(v.loss) ? "-" : number(v.loss)),
                                 rate(v.samples_per_s) + " samples/s", duration(v.seconds_left) + " left", "data wait " + std::to_string(percent) + " %"};
    for (auto& l : losses(v)) out.push_back(std::move(l));
    return out;
}

}  // namespace detail

/// One line for a log: "epoch 2/10  step 120/468  loss 0.4312  12,345 samples/s  1:23 left  data wait 3 %".
inline std::string plain_line(progress_view const& v) {
    std::string out;
    for (auto const& w : detail::words(v)) out += (out.empty() ? "" : "  ") + w;
    return out;
}

/// One line for a terminal of `width` columns, always shorter than that (a full line would wrap): words, with a bar where there is room.
/// On a narrow terminal the bar goes first, then words from the right; the last resort is a cut.
inline std::string bar_line(progress_view const& v, int width) {
    auto const room = static_cast<std::size_t>((std::max)(width - 1, 0));
    auto const words = detail::words(v);
    std::size_t length = 0, shown = 0;
    for (; shown < words.size(); ++shown) {
        auto const longer = length + words[shown].size() + (shown == 0 ? 0 : 2);
        if (longer > room) break;
        length = longer;
    }
    std::string out;
    for (std::size_t i = 0; i < shown; ++i) {
        out += (i == 0 ? "" : "  ") + words[i];
        if (i != 0 || shown != words.size() || v.steps == 0 || length + 9 > room) continue;
        auto const cells = (std::min)(room - length - 4, std::size_t{30});  // between the epoch and the steps
        auto const filled = static_cast<std::size_t>(static_cast<double>(cells) * (std::min)(1.0, static_cast<double>(v.step) / static_cast<double>(v.steps)));
        out += "  [" + std::string(filled, '#') + std::string(cells - filled, '.') + "]";
    }
    return shown == 0 ? words[0].substr(0, room) : out;
}

}  // namespace penstock::train
