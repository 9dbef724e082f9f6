// Implements: batch_by_cost(budget, cost), as many items per batch as a budget of tokens, pixels or bytes allows.
#pragma once

#include <penstock/core/ask.hpp>      // defines: asks::returns_number
#include <penstock/core/gather.hpp>   // defines: gather, costed_stage, without_cost, oversize
#include <penstock/core/holding.hpp>  // defines: holding, tally, stage, broken_chain

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
class [[nodiscard]] batch_by_cost_stage : public holding<batch_by_cost_stage<S>, S> {
    using input = typename S::item_type;
    using element = decltype(std::declval<value_of<input>&>().value);

public:
    static constexpr auto name = "batch_by_cost";
    using item_type = batch_of<element>;
    batch_by_cost_stage(S before, std::uint64_t budget, std::uint64_t most) : batch_by_cost_stage::holding(std::move(before), name, 64), budget_(budget), most_(most) {}

    std::optional<item_type> next() {
        while (!this->replay_.ended() && !full()) {
            auto item = this->replay_.pull(this->up);
            if (!item) break;
            if (!now_.empty() && value(*item).cost > budget_ - (std::min)(spent_, budget_)) return take(std::move(*item));
            else put(std::move(*item));
        }
        if (now_.empty()) return std::nullopt;
        if (this->replay_.ended()) now_.cover.add(this->replay_.trailing(this->up));
        auto out = std::exchange(now_, {});
        begin_at(this->replay_.pulls());
        return out;
    }
    size_hint hint() const {
        return {now_.empty() ? 0u : 1u, hint_of(this->up).plus(now_.size()).upper};
    }
    chain_facts facts() const { return facts_of(this->up).uncounted(); }
    tally held() const {
        tally all{now_.size(), 0};
        for (auto const id : now_.ids) all.hash += tally::mark(id);
        return all;
    }
    void clear() {
        now_ = {};
        spent_ = first_ = 0;
    }
    static void position(auto& self, auto& p) {
        p.same("budget", self.budget_);
        p.same("items", self.most_);
        p("first", self.first_);
    }
    void loaded() {
        this->replay_.repeat(this->up, [first = first_](std::uint64_t i) { return i >= first; }, [this](std::uint64_t, input&& item) { put(std::move(item)); });
        this->replay_.release(first_);
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
        begin_at(this->replay_.pulls() - 1);
        put(std::move(item));
        return out;
    }
    void begin_at(std::uint64_t pull) {
        spent_ = 0;
        first_ = pull;
        this->replay_.release(pull);
    }

    std::uint64_t budget_, most_;
    item_type now_;
    std::uint64_t spent_ = 0;  // what the items of now_ cost
    std::uint64_t first_ = 0;  // number of the first pull that now_ may hold
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
        if constexpr (!asks::returns_number<"batch_by_cost", typename S::item_type const, Cost>()) return broken_chain{};
        else {
            using inner = detail::costed_stage<S, Cost>;
            auto const whole = static_cast<std::uint64_t>(budget);
            auto const none = (std::numeric_limits<std::uint64_t>::max)();
            return batch_by_cost_stage<inner>(inner("batch_by_cost", std::move(input), std::move(cost), options.oversize == oversize::refuse ? whole : none), whole,
                                              options.items == 0 ? none : options.items);
        }
    });
}

}  // namespace penstock
