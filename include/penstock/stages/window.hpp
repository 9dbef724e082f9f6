// Implements: window(n, step), n items at a time, each window `step` items behind the one before.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/gather.hpp>         // defines: can_copy
#include <penstock/core/holding.hpp>        // defines: holding, tally, stage, is_keyed, value_of, rewrap, config_error, broken_chain

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace penstock {

/// Invariant: held_ are the items from the first one of the next window on, at most n; gap_ more are dropped before it begins (step > n).
template <class S>
class [[nodiscard]] window_stage : public holding<window_stage<S>, S, dropping_over<S>> {
    using input = typename S::item_type;

public:
    static constexpr auto name = "window";
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<std::vector<value_of<input>>>()));
    window_stage(S before, std::uint64_t n, std::uint64_t step)
        : window_stage::holding(std::move(before), name, (std::max)(std::uint64_t{16}, n / 4)), n_(n), step_(step) {}

    std::optional<item_type> next() {
        for (; gap_ != 0; --gap_) {
            auto const item = pulled();
            if (!item) return std::nullopt;
            this->waiting.add(*item);
        }
        while (held_.size() < n_) {
            auto const number = this->replay_.pulls();
            auto item = pulled();
            if (!item) return std::nullopt;
            held_.push_back({number, std::move(*item)});
        }
        return advanced();
    }
    tally held() const {
        tally all;
        for (auto const& h : held_) all.add(h.item);
        return all;
    }
    void clear() {
        held_.clear();
        gap_ = 0;
    }
    static void position(auto& self, auto& p) {
        p.same("n", self.n_);
        p.same("step", self.step_);
        p.now("first", self.first(), self.from_);
        p("gap", self.gap_);
    }
    void loaded() {
        this->replay_.repeat(this->up, [this](std::uint64_t i) { return i >= from_; }, [this](std::uint64_t i, input&& item) { held_.push_back({i, std::move(item)}); });
        this->replay_.release(first());
    }
    std::optional<std::uint64_t> left_of(std::optional<std::uint64_t> items) const {  // a gap is open only while nothing is held
        return items ? std::optional(per_epoch(*items + held_.size() - (std::min)(*items, gap_))) : items;
    }
    std::uint64_t per_epoch(std::uint64_t items) const { return items < n_ ? 0 : (items - n_) / step_ + 1; }
    /// Also what is in no further window, once the end was met.
    cover trailing() {
        if (this->replay_.ended()) {
            for (auto& h : held_) this->waiting.add(h.item);
            held_.clear();
        }
        return window_stage::holding::trailing();
    }

private:
    struct one {
        std::uint64_t number;  // of its pull; failed pulls have numbers too
        input item;
    };

    std::uint64_t first() const { return held_.empty() ? this->replay_.pulls() : held_.front().number; }
    std::optional<input> pulled() {
        this->replay_.release(first());
        return this->replay_.pull(this->up);
    }
    /// The window of what is held. What stays for the next one is copied before anything moves, so a failing copy loses nothing.
    item_type advanced() {
        auto const leaving = static_cast<std::size_t>((std::min)(step_, n_));
        auto stay = std::vector<one>{};
        stay.reserve(static_cast<std::size_t>(n_));
        stay.insert(stay.end(), held_.begin() + static_cast<std::ptrdiff_t>(leaving), held_.end());
        auto values = std::vector<value_of<input>>{};
        values.reserve(held_.size());
        auto positions = this->waiting.take();
        for (std::size_t i = 0; i != held_.size(); ++i) {
            auto& item = held_[i].item;
            if constexpr (is_keyed<input>)
                if (i < leaving) positions.add(item.cover);
            values.push_back(std::move(value(item)));
        }
        auto& head = held_.front().item;
        if constexpr (is_keyed<input>) head.cover = std::move(positions);
        auto out = rewrap(std::move(head), std::move(values));
        held_ = std::move(stay);
        gap_ = step_ - leaving;
        return out;
    }

    std::uint64_t n_, step_;
    std::vector<one> held_;
    std::uint64_t from_ = 0;  // number of the first pull that was held when the state at hand was saved
    std::uint64_t gap_ = 0;
};

/// Yields every run of `n` neighbouring items, each run beginning `step` items after the one before, as a std::vector; what does not fill a
/// window at the end is left out. Of keyed items the values are in the vector: a window has id, pass, key and weight of its first item, and the
/// covers of those that are in no later window.
///
/// Order    unchanged
/// Buffers  at most n items
/// Resume   exact, replay of at most 1.25 * n + 16 items, of which only those held are made. In another world the windows start again
/// Threads  none
/// Errors   forwards those of the stages before, which leave no hole: the window goes on behind them; config_error if n or step < 1
///
///     range(5) | window(3)    // [0 1 2] [1 2 3] [2 3 4]
inline auto window(std::int64_t n, std::int64_t step = 1) {
    if (n < 1) throw config_error(message("window(n, step): n must be >= 1, got ", n, "\n  HINT: n is the number of items in a window"));
    if (step < 1) throw config_error(message("window(n, step): step must be >= 1, got ", step, "\n  HINT: step = 1 begins a window with every item, step = n makes batches"));
    return stage("window", [n, step]<class S>(S input) {
        constexpr bool ok = can_copy<typename S::item_type>;
        static_assert(ok, "window(n): its items are in several windows, so they must be copyable. HINT: use batch(n), or window over shared pointers");
        if constexpr (ok) return window_stage<S>(std::move(input), static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(step));
        else return broken_chain{};
    });
}

}  // namespace penstock
