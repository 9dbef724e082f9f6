// Implements: dropping_over<S>, the base of a stage that drops items and hands their covers to the next one it delivers.
#pragma once

#include <penstock/core/dropped.hpp>  // defines: dropped_of
#include <penstock/core/stage.hpp>    // defines: stage_over, epoch, size_hint

#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

/// As stage_over, for a stage that says `waiting.add(item)` of what it drops and `waiting.join(item)` of what it delivers.
///
/// How many items are left is not known then: a stage that can tell writes hint and facts itself. `waiting` belongs to the state, where
/// positioned puts it. A stage that offers discard() empties it, as join would.
template <source S>
struct dropping_over : stage_over<S> {
    [[no_unique_address]] dropped_of<dropping_over, typename S::item_type> waiting;

    explicit dropping_over(S input) : stage_over<S>(std::move(input)) {}

    void reset(epoch e)
        requires resettable<S>
    {
        this->up.reset(e);
        waiting = {};
    }
    size_hint hint() const {
        return {0, hint_of(this->up).upper};
    }
    chain_facts facts() const { return facts_of(this->up).uncounted(); }
    cover trailing() {
        auto all = waiting.take();
        all.add(penstock::trailing(this->up));
        return all;
    }
};

}  // namespace penstock
