// Implements: probe<S>, a stage that also knows how many items it yielded and how long they took; what stats() and describe() show.
#pragma once

#include <penstock/core/clock.hpp>   // defines: monotonic_ns
#include <penstock/core/random.hpp>  // defines: mix64
#include <penstock/core/source.hpp>  // defines: source, for_each_while, write_back
#include <penstock/core/stats.hpp>   // defines: stage_stats, stats_report, collect_stats

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

/// Estimates the time spent in calls by timing some of them. A timed call stands for all since the timed one before it. The clock costs
/// about 50 ns, so the distance grows until that is a two-thousandth of what the calls cost; it varies at random, so that no period of the calls hides.
class sampled_clock {
public:
    using time_point = std::uint64_t;  ///< nanoseconds; 0 is no time
    static time_point now() { return detail::monotonic_ns(); }

    /// The number of the call that is to be timed next.
    std::uint64_t due() const { return due_; }

    /// Call number due() took from `from` to now.
    void timed(time_point from) {
        auto const to = now();
        if (first_ == 0) first_ = from;
        total_ns_ += (to - from) * (due_ + 1 - covered_);
        covered_ = due_ + 1;
        auto const mean = total_ns_ / covered_;
        auto const gap = std::clamp<std::uint64_t>(100'000 / (mean + 1), 1, 2048);
        due_ += gap == 1 ? 1 : 1 + mix64(due_) % (2 * gap - 1);  // gap on average
    }
    std::uint64_t total_ns() const { return total_ns_; }
    /// Since the first timed call began.
    std::uint64_t age_ns() const { return first_ == 0 ? 0 : now() - first_; }

private:
    std::uint64_t due_ = 0;
    std::uint64_t covered_ = 0;  // calls that total_ns_ stands for
    std::uint64_t total_ns_ = 0;
    time_point first_ = 0;
};

/// S under its own name for statistics. Everything S offers it offers too, at the same cost but for a comparison per item.
template <class S>
class probe : public S {
public:
    using item_type = typename S::item_type;
    probe(char const* called, S stage) : S(std::move(stage)), name_(called) {}

    std::optional<item_type> next() {
        if (items_ == clock_.due()) [[unlikely]] return timed_next();  // apart: what reads no clock stays as tight as without a probe
        auto item = S::next();
        items_ += item.has_value();
        return item;
    }
    template <class F>
    bool for_each_while(F& f) {
        auto items = items_;
        write_back on_exit{items_, items};
        bool timing = items == clock_.due();
        auto from = timing ? sampled_clock::now() : 0;
        auto g = [&](item_type&& item) {
            if (timing) clock_.timed(from);
            ++items;
            bool const go = f(std::move(item));
            timing = items == clock_.due();
            if (timing && go) from = sampled_clock::now();
            return go;
        };
        return penstock::for_each_while(static_cast<S&>(*this), g);
    }
    template <class F>
    bool for_each_n(std::uint64_t n, F& f) = delete;  // that of S would count and time nothing
    void stats(stats_report& r) const {
        collect_stats(static_cast<S const&>(*this), r);
        if (r.empty() || r.back().probed) r.push_back({});  // else the stage told about itself, after those before it
        auto& own = r.back();
        own.name = name_;
        own.items = items_;
        own.total_ns = clock_.total_ns();
        own.age_ns = clock_.age_ns();
        own.probed = true;
    }

private:
    [[gnu::noinline]] std::optional<item_type> timed_next() {
        auto const from = sampled_clock::now();
        auto item = S::next();
        if (item) clock_.timed(from);
        items_ += item.has_value();
        return item;
    }

    char const* name_;
    std::uint64_t items_ = 0;
    sampled_clock clock_;
};

template <class S>
inline constexpr bool is_probe = false;
template <class S>
inline constexpr bool is_probe<probe<S>> = true;

/// Whether the stages after S are to be watched: it is a probe itself, or a source whose items cost so much that it asks for it by `using watched_items = void`.
template <class S>
concept watched_from = is_probe<S> || requires { typename S::watched_items; };

namespace detail {

template <source S>
auto with_probe(char const* name, S stage) {
    if constexpr (is_probe<S> || std::is_final_v<S>) return stage;
    else return probe<S>(name, std::move(stage));
}

}  // namespace detail

}  // namespace penstock
