// Implements: skip(n), every epoch without its first n items.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage_of, config_error

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] skip_stage : public positioned<skip_stage<S>, S, dropping_over<S>> {
public:
    static constexpr auto name = "skip", instead = "take a part of the shard list instead";
    using item_type = typename S::item_type;
    skip_stage(S input, std::uint64_t n) : skip_stage::positioned(std::move(input)), n_(n), left_(n) {}

    std::optional<item_type> next() {
        if (!passed_over()) return std::nullopt;
        auto item = this->up.next();
        if (item) this->waiting.join(*item);
        return item;
    }
    bool discard() {
        if (!passed_over() || !penstock::discard(this->up)) return false;
        this->waiting = {};
        return true;
    }
    void restart() { left_ = n_; }
    static void position(auto& self, auto& p) { p("left", self.left_, self.n_); }
    std::optional<std::uint64_t> left_of(std::optional<std::uint64_t> items) const {
        if (items) *items -= (std::min)(*items, left_);
        return items;
    }
    std::uint64_t per_epoch(std::uint64_t items) const { return items - (std::min)(items, n_); }
    template <class F>
    bool for_each_while(F& f) {
        if (!passed_over()) return true;
        auto g = [&](item_type&& item) {
            this->waiting.join(item);
            return f(std::move(item));
        };
        return penstock::for_each_while(this->up, g);
    }

private:
    /// False if the epoch ended within the first n. They are made, not discarded: one that throws does not count, and a cover must be kept.
    bool passed_over() {
        for (; left_ != 0; --left_) {
            auto const item = this->up.next();
            if (!item) return false;
            this->waiting.add(*item);
        }
        return true;
    }

    std::uint64_t n_, left_;
};

/// Drops the first `n` items of this rank in every epoch; the next one stands for them as well. skip(n) and take(n) share an epoch between them.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, one integer; counts per rank, so no elastic resume (use a part of the shard list)
/// Threads  none
/// Errors   forwards those of the stages before, which do not count; config_error if n < 0
///
///     from_vector({10, 20, 30}) | skip(1)    // 20 30
inline auto skip(std::int64_t n) {
    if (n < 0) throw config_error(message("skip(n): n must be >= 0, got ", n, "\n  HINT: leave the stage out to keep every item"));
    return stage_of<skip_stage>("skip", static_cast<std::uint64_t>(n));
}

}  // namespace penstock
