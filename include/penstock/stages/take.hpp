// Implements: take(n), the first n items of every epoch.
#pragma once

#include <penstock/core/positioned.hpp>  // defines: positioned, stage_of, write_back, config_error

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] take_stage : public positioned<take_stage<S>, S> {
public:
    static constexpr auto name = "take", instead = "give samples_per_epoch to the shard list instead";
    using item_type = typename S::item_type;
    take_stage(S input, std::uint64_t n) : take_stage::positioned(std::move(input)), n_(n), left_(n) {}

    std::optional<item_type> next() {
        if (left_ == 0) return std::nullopt;  // item n + 1 is never pulled
        auto item = this->up.next();
        if (item) --left_;  // an item that threw is not counted, so passing over one must not make it: no discard() here
        return item;
    }
    void restart() { left_ = n_; }
    static void position(auto& self, auto& p) { p("left", self.left_, self.n_); }
    std::optional<std::uint64_t> left_of(std::optional<std::uint64_t> items) const { return (std::min)(items.value_or(left_), left_); }
    chain_facts facts() const {
        return facts_of(this->up).recounted([this](std::uint64_t items) { return (std::min)(items, n_); }).cut_short();
    }
    template <class F>
    bool for_each_while(F& f) {
        bool go = true;
        auto left = left_;  // a local can live in a register; a member is stored per item
        write_back on_exit{left_, left};
        auto g = [&](item_type&& item) {
            --left;
            go = f(std::move(item));
            return go && left != 0;
        };
        if (left != 0) penstock::for_each_while(this->up, g);
        return go;
    }

private:
    std::uint64_t n_, left_;
};

/// Ends every epoch after its first `n` items of this rank.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, one integer; counts per rank, so no elastic resume (use samples_per_epoch on the shard list)
/// Threads  none
/// Errors   forwards those of the stages before, which do not count; config_error if n < 0
///
///     from_vector({10, 20, 30}) | take(2)    // 10 20
inline auto take(std::int64_t n) {
    if (n < 0) throw config_error(message("take(n): n must be >= 0, got ", n, "\n  HINT: leave the stage out to keep every item"));
    return stage_of<take_stage>("take", static_cast<std::uint64_t>(n));
}

}  // namespace penstock
