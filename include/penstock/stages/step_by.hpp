// Implements: step_by(n), the first of every n items.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage_of, write_back, config_error

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] step_by_stage : public positioned<step_by_stage<S>, S, dropping_over<S>> {
public:
    static constexpr auto name = "step_by", instead = "take a part of the shard list instead";
    using item_type = typename S::item_type;
    step_by_stage(S input, std::uint64_t n) : step_by_stage::positioned(std::move(input)), n_(n) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        while (item && !kept(*item, between_)) item = this->up.next();
        return item;
    }
    void restart() { between_ = 0; }
    static void position(auto& self, auto& p) { p("between", self.between_, self.n_ - 1); }
    std::optional<std::uint64_t> left_of(std::optional<std::uint64_t> items) const {
        if (items) *items = per_epoch(*items - (std::min)(*items, between_));
        return items;
    }
    std::uint64_t per_epoch(std::uint64_t items) const { return items / n_ + (items % n_ != 0); }
    template <class F>
    bool for_each_while(F& f) {
        auto between = between_;
        write_back on_exit{between_, between};
        auto g = [&](item_type&& item) { return !kept(item, between) || f(std::move(item)); };
        return penstock::for_each_while(this->up, g);
    }

private:
    bool kept(item_type& item, std::uint64_t& between) {
        if (between != 0) {
            --between;
            this->waiting.add(item);
            return false;
        }
        between = n_ - 1;
        this->waiting.join(item);
        return true;
    }

    std::uint64_t n_;
    std::uint64_t between_ = 0;  // items to drop before the next one; one that threw is none, so passing over an item must make it
};

/// The first item of this rank in every epoch, and every `n`th after it; each stands for those dropped before it as well.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, one integer; counts per rank, so no elastic resume (use a part of the shard list)
/// Threads  none
/// Errors   forwards those of the stages before, which do not count; config_error if n < 1
///
///     range(7) | step_by(3)    // 0 3 6
inline auto step_by(std::int64_t n) {
    if (n < 1) throw config_error(message("step_by(n): n must be >= 1, got ", n, "\n  HINT: step_by(1) keeps every item, step_by(2) every other one"));
    return stage_of<step_by_stage>("step_by", static_cast<std::uint64_t>(n));
}

}  // namespace penstock
