// Implements: take(n), the first n items of every epoch.
#pragma once

#include <penstock/core/stage.hpp>  // defines: stage_over, stage_of, epoch, size_hint, state_*, write_back, config_error

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] take_stage : public stage_over<S> {
public:
    using item_type = typename S::item_type;
    take_stage(S input, std::uint64_t n) : stage_over<S>{std::move(input)}, n_(n), left_(n) {}

    std::optional<item_type> next() {
        if (left_ == 0) return std::nullopt;  // item n + 1 is never pulled
        auto item = this->up.next();
        if (item) --left_;  // an item that threw is not counted, so passing over one must not make it: no discard() here
        return item;
    }
    void reset(epoch e)
        requires resettable<S>
    {
        refuse_recut(e, "take", "give samples_per_epoch to the shard list instead");
        this->up.reset(e);
        left_ = n_;
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        this->up.save(w);
        w.stage("take", 1).put("left", left_);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        this->up.load(r);
        auto const left = r.stage("take", 1).get("left");
        if (left > n_) throw state_error(message("load: take(", n_, ") was saved with ", left, " items left\n  HINT: build it with the n that was saved"));
        left_ = left;
    }
    size_hint hint() const {
        auto const h = hint_of(this->up);
        return {(std::min)(h.lower, left_), (std::min)(h.upper.value_or(left_), left_)};
    }
    chain_facts facts() const {  // of the whole epoch, the same on every rank: never left_
        return facts_of(this->up).recounted([this](std::uint64_t items) { return (std::min)(items, n_); });
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
