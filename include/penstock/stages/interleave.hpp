// Implements: interleave(options, named sources...), sources mixed in the proportion of their weights.
#pragma once

#include <penstock/core/mixer.hpp>   // defines: mixer, stop_rule, branches, branch_list
#include <penstock/core/random.hpp>  // defines: word_line

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// How interleave picks the next source.
enum class picks {
    exact,   ///< after any k picks every source is within one item of its share
    random,  ///< independently, with the weights as probabilities
};

struct interleave_options {
    stop_rule stop = stop_rule::all;  ///< when it ends, and what becomes of sources that end before
    penstock::picks picks = penstock::picks::exact;
};

namespace detail {

/// Integers in the proportion of `weights`: the smallest ones where the weights are integers or multiples
/// of a 1000th of the least one, else fractions of 2^31.
/// No product is added to, so no compiler can fuse it and round in another way.
template <class Names>
std::vector<std::uint64_t> shares_of(std::vector<double> const& weights, Names names) {
    double sum = 0, least = weights.front();
    for (std::size_t i = 0; i != weights.size(); ++i) {
        if (!(weights[i] > 0 && weights[i] <= 1e300))
            throw config_error(message("interleave: a weight must be finite and > 0, got ", weights[i], " for '", names(i), "'\n  HINT: leave a source without a share out"));
        sum += weights[i];
        least = (std::min)(least, weights[i]);
    }
    constexpr double most = 2147483648.0;
    std::vector<std::uint64_t> out(weights.size());
    for (std::size_t i = 0; i != weights.size(); ++i)
        if (weights[i] / sum * most < 1)
            throw config_error(message("interleave: a weight must be at least 2^-31 of the sum ", sum, ", got ", weights[i], " for '", names(i), "'\n  HINT: a source this rare is never met"));
    bool const whole_numbers = sum < most && std::all_of(weights.begin(), weights.end(), [](double w) { return static_cast<double>(static_cast<std::uint64_t>(w)) == w; });
    if (whole_numbers) least = 1;
    for (double whole = 1; whole <= 1000 && sum / least * whole < most; ++whole) {
        bool fits = true;
        for (std::size_t i = 0; fits && i != weights.size(); ++i) {
            auto const share = weights[i] * whole / least;
            out[i] = static_cast<std::uint64_t>(share + 0.5);
            auto const off = share - static_cast<double>(out[i]);
            fits = (off < 0 ? -off : off) <= 1e-9 * share;
        }
        if (fits) {
            std::uint64_t common = 0;
            for (auto const share : out) common = std::gcd(common, share);
            for (auto& share : out) share /= common;
            return out;
        }
    }
    for (std::size_t i = 0; i != weights.size(); ++i) out[i] = static_cast<std::uint64_t>(weights[i] / sum * most + 0.5);
    return out;
}

/// exact: the quota rule (Balinski and Young, "The quota method of apportionment", 1975). With c[i] picks of source i among the k so far and R the
/// sum of the shares p, the next one is that with the largest p[i] / (c[i] + 1) among those with c[i] R < (k + 1) p[i], the first of equal ones.
/// Nothing is divided: `due` is (k + 1) p - c R. After R picks every c is p, so the picks have the period R, and a short one is a table.
class weighted_picker {
public:
    weighted_picker(std::vector<std::uint64_t> shares, penstock::picks rule) : shares_(std::move(shares)), random_(rule == penstock::picks::random) { begin({}); }

    void begin(epoch e) {
        words_ = {e.key, e.index};
        k_ = 0;
        all_.clear();
        for (auto const p : shares_) all_.push_back({p, 1, 0, 0});
        divide();
    }
    std::size_t pick() {
        if (period_.empty()) return random_ ? pick_at_random() : pick_by_quota();
        auto const best = period_[k_];
        if (++k_ == sum_) k_ = 0;
        return best;
    }
    bool same_every_epoch() const { return !random_; }
    std::uint64_t period() const { return random_ ? 0 : sum_; }
    std::uint64_t share(std::size_t i) const { return all_[i].share; }
    void leave(std::size_t i) {
        all_[i].share = 0;
        divide();
    }
    void save(state_writer::record& r) const {
        r.put("picks", random_).put("k", k_);
        for (std::size_t i = 0; i != all_.size(); ++i) {
            auto const n = std::to_string(i);
            r.put("share" + n, shares_[i]);
            if (counts()) r.put("picked" + n, all_[i].next - 1);
        }
    }
    void load(state_reader::record const& r, char const* stage) {
        if (r.get("picks") != random_)
            throw state_error(message("load: ", stage, ": saved with ", r.get("picks") ? "random" : "exact", " picks, this one's are ", random_ ? "random" : "exact",
                                      "\n  HINT: build it with the options that were saved"));
        std::uint64_t sum = 0;
        k_ = r.get("k");
        for (std::size_t i = 0; i != all_.size(); ++i) {
            auto const n = std::to_string(i);
            if (r.get("share" + n) != shares_[i])
                throw state_error(message("load: ", stage, ": source number ", i, " was saved with a share of ", r.get("share" + n), ", here it has ", shares_[i],
                                          "\n  HINT: build it with the weights that were saved"));
            if (!counts()) continue;
            auto& s = all_[i];
            s.next = r.get("picked" + n) + 1;
            s.due = static_cast<std::int64_t>(k_ * s.share) - static_cast<std::int64_t>((s.next - 1) * sum_);
            sum += s.next - 1;
        }
        if (!random_ && ((k_ >= sum_ && sum_ != 0) || (counts() && k_ != sum)))
            throw state_error(message("load: ", stage, ": ", k_, " picks, ", sum, " by source, do not fit a period of ", sum_, "\n  HINT: the state is damaged; use an older checkpoint"));
    }

private:
    struct one {
        std::uint64_t share, next;  // next: picks so far, and one
        std::int64_t due;
        std::uint64_t until;        // random: picked by words below this, and not below that of the one before
    };

    /// Whether picks are counted by source; k tells all where there is a table, and for random picks.
    bool counts() const { return !random_ && period_.empty(); }
    [[gnu::noinline]] std::size_t pick_by_quota() {
        std::size_t best = 0;
        std::uint64_t best_share = 0, best_next = 1;
        for (std::size_t i = 0; i != all_.size(); ++i) {
            auto& s = all_[i];
            s.due += static_cast<std::int64_t>(s.share);
            if (s.due > 0 && s.share * best_next > best_share * s.next) best = i, best_share = s.share, best_next = s.next;
        }
        all_[best].due -= static_cast<std::int64_t>(sum_);
        ++all_[best].next;
        if (++k_ == sum_) restart();  // all are at their share, so the picks repeat from here
        return best;
    }

    void restart() {
        for (auto& s : all_) s.next = 1, s.due = 0;
        k_ = 0;
    }
    /// Starts anew, over the sources that are still there.
    void divide() {
        sum_ = 0;
        for (auto const& s : all_) sum_ += s.share;
        std::uint64_t before = 0;
        for (auto& s : all_) {
            before += s.share;
            if (sum_ != 0) s.until = before == sum_ ? std::uint64_t{1} << 32 : (before << 31) / sum_ * 2;
        }
        if (random_) return;
        period_.clear();
        restart();
        if (sum_ > 4096 || all_.size() > 65536) return;
        std::vector<std::uint16_t> table;
        while (table.size() != sum_) table.push_back(static_cast<std::uint16_t>(pick_by_quota()));
        period_ = std::move(table);
    }
    std::size_t pick_at_random() {
        auto const word = words_.at(k_++);
        std::size_t i = 0;
        while (word >= all_[i].until) ++i;
        return i;
    }

    std::vector<std::uint64_t> shares_;
    bool random_;
    std::vector<one> all_;
    std::vector<std::uint16_t> period_;  // the picks of one period, if it is short
    std::uint64_t sum_ = 0, k_ = 0;
    word_line words_{0, 0};  // of this epoch
};

/// All sources have a weight, or none has: then all weigh 1.
template <class Weight, class Name>
std::vector<double> weights_of(std::size_t n, Weight weight, Name name) {
    std::vector<double> out;
    for (std::size_t i = 0; i != n; ++i) {
        if (weight(i).has_value() != weight(0).has_value())
            throw config_error(message("interleave: a weight is given for some sources, got none for '", name(weight(i) ? 0 : i), "'\n  HINT: give every source a weight, or none to take turns"));
        out.push_back(weight(i).value_or(1));
    }
    return out;
}

template <class Branches>
auto interleave_of(interleave_options o, std::vector<double> const& weights, Branches all) {
    auto shares = shares_of(weights, [&](std::size_t i) -> auto const& { return all.name(i); });
    return joined<Branches>("interleave", mixer<Branches, weighted_picker>("interleave", std::move(all), o.stop, {std::move(shares), o.picks}));
}

}  // namespace detail

/// Mixes sources in the proportion of their weights; equal weights take turns. Over sources that are cut by rank every rank makes the same picks:
/// a source has as many turns per pass as its largest part on any rank has items, and a turn for which this rank has none is passed over.
///
/// Order    exact: the quota rule, every source within one item of its share after any k picks; random: by (key, epoch, k) alone
/// Buffers  nothing
/// Resume   exact, a few integers per source; with all_restart and forever the next epoch goes on in the middle of unfinished passes
/// Threads  none
/// Errors   forwards those of the sources, before the item whose turn it is; config_error for bad names and weights, for weights of some sources alone, for an empty source
///          unless the rule is `all`, and for sources cut by rank that do not know their largest part; stage_error if a source yields more than it promised
///
///     interleave({}, named("a", 2, range(4)), named("b", 1, from_vector<std::int64_t>({10, 11})))    // 0 1 10 2 3 11
template <class... P>
auto interleave(interleave_options o, P&&... sources) {
    static_assert(sizeof...(P) != 0, "interleave(options, sources...): there must be at least one source. HINT: interleave({}, named(\"a\", 1, std::move(p)), ...)");
    if constexpr (sizeof...(P) == 0 || !detail::joinable<P...>()) return broken_chain{};
    else
        return detail::with_names(
            [o]<class... S>(named_source<S>... all) {
                constexpr bool ok = branches<S...>::one_item_type;
                static_assert(ok, "interleave: the sources yield different item types. HINT: map each to one type first");
                if constexpr (!ok) return broken_chain{};
                else {
                    std::optional<double> const given[] = {all.weight...};
                    std::string const names[] = {all.name...};
                    auto const weights = detail::weights_of(sizeof...(S), [&](std::size_t i) { return given[i]; }, [&](std::size_t i) { return names[i]; });
                    return detail::interleave_of(o, weights, branches<S...>("interleave", std::move(all)...));
                }
            },
            std::forward<P>(sources)...);
}
/// The same over sources of one type, as many as there are at run time.
template <source S>
auto interleave(interleave_options o, std::vector<named_source<S>> sources) {
    auto const weights = detail::weights_of(sources.size(), [&](std::size_t i) { return sources[i].weight; }, [&](std::size_t i) { return sources[i].name; });
    return detail::interleave_of(o, weights, branch_list<S>("interleave", std::move(sources)));
}

}  // namespace penstock
