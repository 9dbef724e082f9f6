// Implements: skip_while(drop), the items from the first one on for which drop says false.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns_bool
#include <penstock/core/blame.hpp>          // defines: blame
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage, value_of, value, broken_chain

#include <optional>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] skip_while_stage : public positioned<skip_while_stage<S, F>, S, dropping_over<S>> {
public:
    static constexpr auto name = "skip_while", instead = "filter by the sample itself";
    using item_type = typename S::item_type;
    skip_while_stage(S before, F drop) : skip_while_stage::positioned(std::move(before)), drop_(std::move(drop)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        while (item && !kept(*item)) item = this->up.next();
        return item;
    }
    size_hint hint() const {
        auto const h = hint_of(this->up);
        return begun_ ? h : size_hint{0, h.upper};
    }
    void restart() { begun_ = false; }
    static void position(auto& self, auto& p) { p("begun", self.begun_); }
    template <class G>
    bool for_each_while(G& g) {
        bool go = true;
        if (!begun_) {
            auto until_first = [&](item_type&& item) {
                if (!kept(item)) return true;
                go = g(std::move(item));
                return false;  // the rest needs no test
            };
            if (penstock::for_each_while(this->up, until_first)) return true;
        }
        return go && penstock::for_each_while(this->up, g);
    }

private:
    bool kept(item_type& item) {
        if (!begun_ && blame("skip_while", item, [&] { return static_cast<bool>(drop_(std::as_const(value(item)))); })) {
            this->waiting.add(item);
            return false;
        }
        begun_ = true;
        this->waiting.join(item);
        return true;
    }

    F drop_;
    bool begun_ = false;
};

/// Drops the items of this rank before the first one, in every epoch, for which drop(item) is false; that one stands for them as well,
/// and drop is not asked again. Of a keyed item drop sees the value.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; drop must not depend on earlier calls. The number of items is not known before, so world_max ends here
/// Threads  none; drop runs on the thread that pulls
/// Errors   forwards those of the stages before, and of drop: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     from_vector({1, 2, 5, 1}) | skip_while([](int i) { return i < 4; })    // 5 1
template <class F>
auto skip_while(F drop) {
    return stage("skip_while", [drop = std::move(drop)]<class S>(S input) mutable {
        if constexpr (!asks::returns_bool<"skip_while", typename S::item_type const, F>()) return broken_chain{};
        else return skip_while_stage<S, F>(std::move(input), std::move(drop));
    });
}

}  // namespace penstock
