// Implements: holding<Self, S>, the base of a stage that holds items: a position that brings them back by pulling them again.
#pragma once

#include <penstock/core/positioned.hpp>  // defines: positioned, stage_over
#include <penstock/core/replay.hpp>      // defines: replay, tally

#include <cstdint>
#include <string_view>
#include <utility>

namespace penstock {

/// As positioned; the stage pulls through `replay_` alone, tells it by release() what has left, and says:
///
///     tally held() const       the items it holds now
///     void clear()             it holds nothing, and stands at the start of an epoch
///     void loaded()            position() has been read: replay_.repeat(up, wanted, keep) brings back what was held
template <class Self, source S, class Base = stage_over<S>>
struct holding : positioned<Self, S, Base> {
    /// A snapshot of the stages before is taken every `every` pulls. `seldom`: it holds something after an exception alone, and what it holds then
    /// need not come again in the same order, as it is not saved.
    holding(S input, std::string_view name, std::uint64_t every, bool seldom = false) : positioned<Self, S, Base>(std::move(input)), replay_(name, every) {
        if (!seldom) refuse_unordered(facts_of(this->up), name);
    }

    void rewind(epoch e) {
        Base::reset(e);
        replay_.reset();
        static_cast<Self&>(*this).clear();
    }
    void save_before(state_writer& w) const { replay_.save(w, this->up, static_cast<Self const&>(*this).held()); }
    void load_before(state_reader& r) {
        static_cast<Self&>(*this).clear();
        replay_.load(r, this->up);
    }

    /// What was dropped here and before.
    cover trailing()
        requires dropping<Base>
    {
        cover all;
        if constexpr (requires { this->waiting.take(); }) all = this->waiting.take();
        all.add(replay_.trailing(this->up));
        return all;
    }

protected:
    replay<S> replay_;
};

}  // namespace penstock
