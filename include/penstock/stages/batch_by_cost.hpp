// Implements: batch_by_cost(budget, cost), as many items per batch as a budget of tokens, pixels or bytes allows.
#pragma once

#include <penstock/core/replay.hpp>    // defines: replay, tally
#include <penstock/core/stage.hpp>     // defines: stage, stage_over, broken_chain
#include <penstock/core/gather.hpp>  // defines: gather, costed_stage, without_cost, oversize

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace penstock {

struct batch_by_cost_options {
    penstock::oversize oversize = penstock::oversize::refuse;  ///< what becomes of an item that costs more than the budget
    std::uint64_t items = 0;  ///< at most so many items per batch, whatever they cost; 0: no limit
};

/// S yields costed items. Between calls `now_` holds the first items of the next batch: the one that did not fit into the last, and those an exception interrupted.
template <class S>
class [[nodiscard]] batch_by_cost_stage : public stage_over<S> {
    using input = typename S::item_type;
    using element = decltype(std::declval<value_of<input>&>().value);

public:
    using item_type = batch_of<element>;
    batch_by_cost_stage(S before, std::uint64_t budget, std::uint64_t most) : stage_over<S>{std::move(before)}, budget_(budget), most_(most), replay_("batch_by_cost", 64) {}

    std::optional<item_type> next() {
        while (!ended_ && !full()) {
            auto item = replay_.pull(this->up);
            if (!item) ended_ = true;
            else if (!now_.empty() && value(*item).cost > budget_ - (std::min)(spent_, budget_)) return take(std::move(*item));
            else put(std::move(*item));
        }
        if (now_.empty()) return std::nullopt;
        if (ended_) now_.cover.add(penstock::trailing(this->up));
        auto out = std::exchange(now_, {});
        begin_at(replay_.pulls());
        return out;
    }
    void reset(epoch e)
        requires resettable<S>
    {
        this->up.reset(e);
        replay_.reset();
        clear();
    }
    size_hint hint() const {
        auto h = hint_of(this->up);
        h.lower = now_.empty() ? 0 : 1;
        if (h.upper) *h.upper += now_.size();
        return h;
    }
    chain_facts facts() const { return facts_of(this->up).uncounted(); }
    void save(state_writer& w) const
        requires resumable<S>
    {
        tally held{now_.size(), 0};
        for (auto const id : now_.ids) held.hash += tally::mark(id);
        replay_.save(w, this->up, held);
        w.stage("batch_by_cost", 1).put("budget", budget_).put("items", most_).put("first", first_);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        clear();
        replay_.load(r, this->up);
        auto const record = r.stage("batch_by_cost", 1);
        if (record.get("budget") != budget_ || record.get("items") != most_)
            throw state_error(message("load: batch_by_cost: saved with a budget of ", record.get("budget"), " and at most ", record.get("items"), " items, this one has ", budget_, " and ", most_,
                                      "\n  HINT: build it with the options that were saved"));
        auto const first = record.get("first");
        replay_.repeat(this->up, [=](std::uint64_t i) { return i >= first; }, [this](std::uint64_t, input&& item) { put(std::move(item)); });
        first_ = first;
        replay_.release(first_);
    }

private:
    bool full() const { return now_.size() == most_ || (!now_.empty() && spent_ >= budget_); }
    void put(input&& item) {
        spent_ += (std::min)(value(item).cost, (std::numeric_limits<std::uint64_t>::max)() - spent_);
        detail::gather(now_, detail::without_cost(std::move(item)));
    }
    /// What is gathered; the item that did not fit, which was pulled last, begins the next batch.
    item_type take(input&& item) {
        auto out = std::exchange(now_, {});
        begin_at(replay_.pulls() - 1);
        put(std::move(item));
        return out;
    }
    void begin_at(std::uint64_t pull) {
        spent_ = 0;
        first_ = pull;
        replay_.release(pull);
    }
    void clear() {
        now_ = {};
        spent_ = first_ = 0;
        ended_ = false;
    }

    std::uint64_t budget_, most_;
    replay<S> replay_;
    item_type now_;
    std::uint64_t spent_ = 0;  // what the items of now_ cost
    std::uint64_t first_ = 0;  // number of the first pull that now_ may hold
    bool ended_ = false;
};

/// Gathers items into a batch while their costs stay within the budget; cost(item) is a whole number of 0 or more. Of a keyed item cost sees the value.
///
/// Order    unchanged
/// Buffers  the items of a batch, and the first of the next one; items that cost nothing are bounded by `.items` alone
/// Resume   exact; replay of at most 64 items and a batch, of which only those held are made; cost must not depend on earlier calls. How many batches come is
///          not known before, so world_max ends here; in another world the rest is batched anew
/// Threads  none; cost runs on the thread that pulls
/// Errors   forwards those of cost and of the stages before; stage_error for an item above the budget, unless {.oversize = oversize::alone};
///          config_error if budget < 1
///
///     from_vector({2, 2, 1, 4, 3}) | batch_by_cost(5, [](int i) { return i; })    // [2 2 1] [4] [3]
template <class Cost>
auto batch_by_cost(std::int64_t budget, Cost cost, batch_by_cost_options options = {}) {
    if (budget < 1) throw config_error(message("batch_by_cost(budget, cost): budget must be >= 1, got ", budget, "\n  HINT: it is what the costs of a batch may add up to"));
    return stage("batch_by_cost", [=, cost = std::move(cost)]<class S>(S input) mutable {
        constexpr bool ok = detail::cost_of<Cost, typename S::item_type>;
        static_assert(ok, "batch_by_cost(budget, cost): cost must give a whole number for the item type of the stage before it. HINT: take it by const& and return a number of tokens, pixels or bytes");
        if constexpr (ok) {
            using inner = detail::costed_stage<S, Cost>;
            auto const whole = static_cast<std::uint64_t>(budget);
            auto const none = (std::numeric_limits<std::uint64_t>::max)();
            return batch_by_cost_stage<inner>(inner("batch_by_cost", std::move(input), std::move(cost), options.oversize == oversize::refuse ? whole : none), whole,
                                              options.items == 0 ? none : options.items);
        } else return broken_chain{};
    });
}

}  // namespace penstock
