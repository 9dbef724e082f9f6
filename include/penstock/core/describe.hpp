// Implements: describe(report), the figures of a chain as a small drawing, and in one sentence where its time goes.
#pragma once

#include <penstock/core/stats.hpp>  // defines: stage_stats, stats_report

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// One stage of a report with what belongs to it alone.
struct stage_share {
    std::size_t entry = 0;      ///< in the report
    std::size_t depth = 0;      ///< of the branch it is in; 0 for the trunk
    std::uint64_t own_ns = 0;   ///< its work, without that of the stages before it
    std::size_t thread = 0;     ///< how many stages with threads of their own lie between it and the consumer; 0: it works when the consumer asks
};

/// What every stage of a report did itself. The report lists a chain from its sources to its end, each fan-in after all its inputs.
inline std::vector<stage_share> shares(stats_report const& all) {
    std::vector<stage_share> out(all.size());
    std::vector<std::uint64_t> open, time;  // per chain that no fan-in has joined yet: its first entry, the last being before the next one's; the time in its next()
    for (std::size_t i = 0; i != all.size(); ++i) {
        auto const& s = all[i];
        auto first = i;
        std::uint64_t before = 0;
        for (std::uint32_t k = 0; k != s.inputs && !open.empty(); ++k) {
            if (s.inputs > 1)
                for (auto j = open.back(); j != first; ++j) ++out[j].depth;
            first = open.back();
            before += time.back();
            open.pop_back();
            time.pop_back();
        }
        out[i].entry = i;
        if (s.threads)  // the work is that of the stages before it
            for (auto j = first; j != i; ++j) ++out[j].thread;
        else out[i].own_ns = s.probed ? s.total_ns - (std::min)(before, s.total_ns) : s.busy_ns;
        open.push_back(first);
        time.push_back(s.probed || s.threads ? s.total_ns : before + s.busy_ns);
    }
    return out;
}

namespace detail {

/// 1234567 as "1,234,567".
inline std::string grouped(std::uint64_t n) {
    auto text = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), ",");
    return text;
}
/// Three digits and a unit: "1.25 us", "840 ms".
inline std::string time_text(double ns) {
    constexpr std::array<std::string_view, 4> units{"ns", "us", "ms", "s"};
    std::size_t unit = 0;
    for (; ns >= 999.5 && unit + 1 != units.size(); ++unit) ns /= 1000;
    char text[32];
    std::snprintf(text, sizeof text, ns < 9.995 ? "%.2f " : ns < 99.95 ? "%.1f " : "%.0f ", ns);
    return text + std::string(units[unit]);
}
inline std::string percent(double share) {
    char text[16];
    std::snprintf(text, sizeof text, share > 0 && share < 0.0995 ? "%.1f %%" : "%.0f %%", 100 * share);
    return text;
}
inline std::string padded(std::string text, std::size_t width, bool left = false) {
    if (text.size() < width) text.insert(left ? text.size() : 0, width - text.size(), ' ');
    return text;
}

}  // namespace detail

/// Which stage limits the chain, and what to do: one sentence. `all` must come from a watched chain (a chain over shards, or one after watch()).
///
/// The consumer waited for total(last stage) of its time; below 1 % the data is no limit. Otherwise the thread that works most is the limit,
/// and of its stages the one with the most work of its own.
inline std::string bottleneck(stats_report const& all) {
    if (all.empty() || !all.back().probed || all.back().items == 0) return "bottleneck: unknown, nothing was timed. HINT: pull some items first; a chain without shards is timed after watch()";
    auto const age = static_cast<double>((std::max)(all.back().age_ns, std::uint64_t{1}));
    auto const waited = (std::min)(1.0, static_cast<double>(all.back().total_ns) / age);
    if (waited < 0.01) return "bottleneck: none in the data, the consumer waited " + detail::percent(waited) + " of its time for it";
    auto const mine = shares(all);
    std::vector<std::uint64_t> work;
    for (auto const& s : mine) {
        work.resize((std::max)(work.size(), s.thread + 1));
        work[s.thread] += s.own_ns;
    }
    std::size_t busiest = 0;
    for (std::size_t t = 1; t < work.size(); ++t)
        if (work[t] > work[busiest]) busiest = t;
    auto worst = mine.end();
    for (auto i = mine.begin(); i != mine.end(); ++i)
        if (i->thread == busiest && (worst == mine.end() || i->own_ns > worst->own_ns)) worst = i;
    auto const& stage = all[worst->entry];
    auto const share = static_cast<double>(worst->own_ns) / static_cast<double>((std::max)(work[busiest], std::uint64_t{1}));
    auto text = "bottleneck: " + stage.name + ", " + detail::percent(share) + " of the work " + (busiest == 0 ? "on the consumer's thread" : "in the background");
    if (stage.items != 0) text += ", " + detail::time_text(static_cast<double>(worst->own_ns) / static_cast<double>(stage.items)) + " per item";
    text += "; the consumer waited " + detail::percent(waited) + " of its time";
    text += busiest == 0 ? ". HINT: put prefetch() after it, so that it works while the consumer does" : ". HINT: spread it over threads with parallel_map, or make it cheaper";
    return text;
}

/// The chain as a drawing, one stage a line, from its source to its end:
///
///     read_tar   4,096 items   1.21 us each   0.6 % of the work
///     decode     4,096 items    212 us each    99 % of the work
///     batch         64 items   too little to be timed
///     bottleneck: decode, 95 % of the work on the consumer's thread, 212 us per item; ...
inline std::string describe(stats_report const& all) {
    auto const mine = shares(all);
    std::uint64_t work = 0;
    std::size_t names = 0, counts = 0;
    for (auto const& s : mine) {
        work += s.own_ns;
        names = (std::max)(names, all[s.entry].name.size() + 2 * s.depth);
        counts = (std::max)(counts, detail::grouped(all[s.entry].items).size());
    }
    std::string text;
    for (auto const& m : mine) {
        auto const& s = all[m.entry];
        text += detail::padded(std::string(2 * m.depth, ' ') + s.name, names, true) + "   " + detail::padded(detail::grouped(s.items), counts) + " items";
        if (s.probed && s.threads) {
            text += "   waited for " + detail::percent(static_cast<double>(s.total_ns) / static_cast<double>((std::max)(s.age_ns, std::uint64_t{1}))) + " of the time";
        } else if (s.items != 0 && s.probed && m.own_ns == 0) {
            text += "   too little to be timed";
        } else if (s.items != 0 && (s.probed || s.busy_ns != 0)) {
            text += detail::padded(detail::time_text(static_cast<double>(m.own_ns) / static_cast<double>(s.items)), 10) + " each";
            text += detail::padded(detail::percent(work == 0 ? 0 : static_cast<double>(m.own_ns) / static_cast<double>(work)), 8) + " of the work";
        }
        if (s.held != 0) text += ", holds " + detail::grouped(s.held);
        if (s.errors != 0) text += ", " + detail::grouped(s.errors) + (s.errors == 1 ? " error" : " errors");
        text += '\n';
    }
    return text + bottleneck(all) + '\n';
}

}  // namespace penstock
