// Implements: step_by(n), the first of every n items.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/stage.hpp>          // defines: stage_of, epoch, size_hint, state_*, write_back, config_error

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] step_by_stage : public dropping_over<S> {
public:
    using item_type = typename S::item_type;
    step_by_stage(S input, std::uint64_t n) : dropping_over<S>(std::move(input)), n_(n) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        while (item && !kept(*item, between_)) item = this->up.next();
        return item;
    }
    void reset(epoch e)
        requires resettable<S>
    {
        refuse_recut(e, "step_by", "take a part of the shard list instead");
        dropping_over<S>::reset(e);
        between_ = 0;
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        this->up.save(w);
        auto record = w.stage("step_by", 1);
        record.put("between", between_);
        this->waiting.save(record);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        this->up.load(r);
        auto const record = r.stage("step_by", 1);
        auto const between = record.get("between");
        if (between >= n_) throw state_error(message("load: step_by(", n_, ") was saved with ", between, " items to drop\n  HINT: build it with the n that was saved"));
        between_ = between;
        this->waiting.load(record);
    }
    size_hint hint() const {
        auto const steps = [this](std::uint64_t items) { return ceil(items - (std::min)(items, between_)); };
        auto const h = hint_of(this->up);
        return {steps(h.lower), h.upper ? std::optional(steps(*h.upper)) : h.upper};
    }
    chain_facts facts() const {
        return facts_of(this->up).recounted([this](std::uint64_t items) { return ceil(items); });
    }
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
    std::uint64_t ceil(std::uint64_t items) const { return items / n_ + (items % n_ != 0); }

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
