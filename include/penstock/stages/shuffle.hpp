// Implements: shuffle(n), a delay line that mixes a stream within a window of n items on average.
#pragma once

#include <penstock/core/holding.hpp>  // defines: holding, tally
#include <penstock/core/random.hpp>  // defines: word_line
#include <penstock/core/stage.hpp>   // defines: stage_of, size_hint, config_error

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace penstock {

struct shuffle_options {
    std::int64_t window = 1000;  ///< items held on average; at most 4 times as many (5 times with `warm`)
    bool warm = false;           ///< the first item leaves once `window` items are held, so the first ones are mixed as well as the rest
};

namespace detail {

/// -ln(1 - c/1024) in units of 2^-28 for c < 1024, by ln(m/(m-1)) = 2 artanh(1/(2m-1)): integers only, equal everywhere.
consteval std::array<std::uint32_t, 1025> exponential_quantiles() {
    constexpr int digits = 31;
    std::array<std::uint32_t, 1025> table{};
    std::uint64_t sum = 0;
    for (std::uint64_t m = 1024; m != 1; --m) {
        std::uint64_t const z = (std::uint64_t{1} << digits) / (2 * m - 1), square = z * z >> digits;
        for (std::uint64_t power = z, k = 1; power != 0; power = power * square >> digits, k += 2) sum += 2 * power / k;
        table[1025 - m] = static_cast<std::uint32_t>(sum >> (digits - 28));
    }
    table[1024] = ~std::uint32_t{0};
    return table;
}
inline constexpr auto exponential = exponential_quantiles();

/// floor((n + 1/2) E) for a unit exponential E: geometric with mean n, clamped at 4n. u is uniform in 32 bits; lines between the quantiles.
constexpr std::uint64_t geometric_delay(std::uint32_t u, std::uint64_t n) {
    auto const low = std::uint64_t{exponential[u >> 22]}, high = std::uint64_t{exponential[(u >> 22) + 1]};
    auto const e = low + ((high - low) * (u & 0x3FFFFF) >> 22);
    return (std::min)((2 * n + 1) * e >> 29, 4 * n);
}

}  // namespace detail

/// Item i of the epoch has departure d(i) = i + delay(key, epoch, i); the items leave in the order of (d, i).
///
/// Invariant: an item leaves when d <= pulls. Every later item j >= pulls has d(j) >= j >= pulls, and on a tie j is the larger one,
/// so nothing that is still to come belongs before it. Hence what is held is {i < pulls : (d(i), i) after the last departure}, which load() recomputes.
template <class S>
class [[nodiscard]] shuffle_stage : public holding<shuffle_stage<S>, S> {
public:
    static constexpr auto name = "shuffle";
    static constexpr bool draws = true;
    using item_type = typename S::item_type;
    shuffle_stage(S input, shuffle_options o)
        : shuffle_stage::holding(std::move(input), name, (std::max)(std::uint64_t{16}, static_cast<std::uint64_t>(o.window) / 4)), n_(static_cast<std::uint64_t>(o.window)), warm_(o.warm ? n_ : 0) {}

    std::optional<item_type> next() {
        while (true) {
            auto const pulls = this->replay_.pulls();
            if (held_.count != 0) {
                while (leaving_ == none && (day_ < pulls || this->replay_.ended())) open(++day_);
                if (leaving_ != none) return depart();
            } else if (day_ < pulls) day_ = pulls, next_ = 0;
            if (this->replay_.ended()) return std::nullopt;
            this->replay_.release(held_.count == 0 ? pulls : day_ - (std::min)(day_, longest()));
            auto item = this->replay_.pull(this->up);
            if (item) arrive(pulls, std::move(*item));
        }
    }
    size_hint hint() const {
        return hint_of(this->up).plus(held_.count);
    }
    void restart(epoch e) { words_ = {e.key, e.index}; }
    tally held() const { return held_; }
    void clear() {
        if (held_.count != 0) line_.assign(line_.size(), none);
        slots_.clear();
        free_ = leaving_ = none;
        held_ = {};
        day_ = next_ = 0;
    }
    static void position(auto& self, auto& p) {
        p.same("window", self.n_);
        p.same("warm", self.warm_ != 0);
        p("day", self.day_);
        p("next", self.next_);
    }
    void loaded() {
        auto const waits = [this](std::uint64_t i) { return departure(i) > day_ || (departure(i) == day_ && i >= next_); };
        this->replay_.repeat(this->up, waits, [this](std::uint64_t i, item_type&& item) { arrive(i, std::move(item)); });
        if (held_.count == 0) this->replay_.release(this->replay_.pulls());
    }
    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        r.push_back({.name = "shuffle", .items = departed_, .held = held_.count});
    }

private:
    struct slot {
        std::optional<item_type> item;
        std::uint64_t number;
        std::uint32_t next;
    };
    static constexpr auto none = ~std::uint32_t{0};

    std::uint64_t longest() const { return 4 * n_ + warm_; }  // no item waits longer, so those held fall on different days of the line
    std::uint32_t& newest_of(std::uint64_t day) { return line_[day & (line_.size() - 1)]; }
    std::uint64_t departure(std::uint64_t i) { return (std::max)(i, warm_) + detail::geometric_delay(words_.at(i), n_); }
    void arrive(std::uint64_t i, item_type&& item) {
        if (line_.empty()) line_.assign(std::bit_ceil(longest() + 1), none);
        if (free_ == none) {
            slots_.push_back({std::nullopt, 0, none});
            free_ = static_cast<std::uint32_t>(slots_.size() - 1);
        }
        auto const at = free_;
        auto& s = slots_[at];
        free_ = s.next;
        s.item.emplace(std::move(item));
        s.number = i;
        held_.add(*s.item);
        auto const day = departure(i);
        if (day != day_) s.next = std::exchange(newest_of(day), at);
        else {  // the day that is leaving: behind those that came before
            s.next = none;
            auto* last = &leaving_;
            while (*last != none) last = &slots_[*last].next;
            *last = at;
        }
    }
    /// A day's items are a stack while they wait, so that an arrival asks nothing; here they are put in the order of their numbers.
    void open(std::uint64_t day) {
        next_ = 0;
        __builtin_prefetch(slots_.data() + (std::min)(std::size_t{newest_of(day + 4)}, slots_.size() - 1));  // `none` is cut to some slot
        for (auto at = std::exchange(newest_of(day), none); at != none;) {
            auto const older = std::exchange(slots_[at].next, leaving_);
            leaving_ = std::exchange(at, older);
        }
    }
    std::optional<item_type> depart() {
        auto const at = leaving_;
        auto& s = slots_[at];
        leaving_ = s.next;
        s.next = std::exchange(free_, at);
        next_ = s.number + 1;
        held_.remove(*s.item);
        ++departed_;
        auto item = std::move(s.item);
        s.item.reset();
        return item;
    }

    std::uint64_t n_, warm_;
    word_line words_{epoch{}.key, 0};  // of this epoch
    std::vector<std::uint32_t> line_;  // per day after day_ the slot of its newest item, which leads to the one before it
    std::vector<slot> slots_;
    std::uint32_t free_ = none;
    std::uint32_t leaving_ = none;  // the items of day_ that have not left, in the order of their numbers
    tally held_;
    std::uint64_t day_ = 0, next_ = 0;  // nothing leaves before item number next_ of day day_
    std::uint64_t departed_ = 0;
};

/// Mixes the stream: every item waits a random number of pulls, `window` on average. Starts at once, drains in order of departure.
/// The order depends on (seed, place in the chain, epoch, number of the item in the epoch of this rank) alone.
///
/// Order    permuted, by departure i + delay(key, epoch, i); a new permutation every epoch
/// Buffers  `window` items on average, at most 4 * window (5 with warm)
/// Resume   replay of at most 4.25 * window items (5.25 with warm), of which only those held are made
/// Threads  none
/// Errors   forwards those of the stages before, at the pull that meets them; config_error if window is not in [1, 2^28]
///
///     range(6) | shuffle(2)    // 3 2 4 0 5 1
inline auto shuffle(shuffle_options o) {
    if (o.window < 1) throw config_error(message("shuffle(n): n must be >= 1, got ", o.window, "\n  HINT: leave the stage out to keep the order"));
    if (o.window > (std::int64_t{1} << 28))
        throw config_error(message("shuffle(n): n must be <= 2^28, got ", o.window, "\n  HINT: shuffle_shards mixes all shards without holding items; a window of 10'000 does the rest"));
    return stage_of<shuffle_stage>("shuffle", o);
}
inline auto shuffle(std::int64_t window) { return shuffle(shuffle_options{.window = window}); }

}  // namespace penstock
