// Implements: take_while(go), the items before the first one for which go says false.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns_bool
#include <penstock/core/blame.hpp>          // defines: blame
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage, value_of, value, broken_chain

#include <optional>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] take_while_stage : public positioned<take_while_stage<S, F>, S, dropping_over<S>> {
public:
    static constexpr auto name = "take_while", instead = "filter by the sample itself";
    using item_type = typename S::item_type;
    take_while_stage(S before, F go) : take_while_stage::positioned(std::move(before)), go_(std::move(go)) {}

    std::optional<item_type> next() {
        if (ended_) return std::nullopt;
        auto item = this->up.next();
        if (item && !goes_on(*item)) item.reset();
        return item;
    }
    size_hint hint() const {
        return {0, ended_ ? 0 : hint_of(this->up).upper};
    }
    void restart() { ended_ = false; }
    static void position(auto& self, auto& p) { p("ended", self.ended_); }
    template <class G>
    bool for_each_while(G& g) {
        bool go = true;
        auto h = [&](item_type&& item) { return goes_on(item) && (go = g(std::move(item))); };
        if (!ended_) penstock::for_each_while(this->up, h);
        return go;
    }

private:
    bool goes_on(item_type& item) {
        if (blame("take_while", item, [&] { return static_cast<bool>(go_(std::as_const(value(item)))); })) return true;
        ended_ = true;
        this->waiting.add(item);
        return false;
    }

    F go_;
    bool ended_ = false;
};

/// Ends every epoch of this rank before the first item for which go(item) is false. That item is pulled, and counts as dropped; those
/// behind it are not pulled. Of a keyed item go sees the value.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; go must not depend on earlier calls. The number of items is not known before, so world_max ends here
/// Threads  none; go runs on the thread that pulls
/// Errors   forwards those of the stages before, and of go: over keyed items as a stage_error that names the sample. Either consumes its item,
///          and does not end the epoch
///
///     from_vector({1, 2, 5, 1}) | take_while([](int i) { return i < 4; })    // 1 2
template <class F>
auto take_while(F go) {
    return stage("take_while", [go = std::move(go)]<class S>(S input) mutable {
        if constexpr (!asks::returns_bool<"take_while", typename S::item_type const, F>()) return broken_chain{};
        else return take_while_stage<S, F>(std::move(input), std::move(go));
    });
}

}  // namespace penstock
