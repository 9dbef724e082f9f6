// Implements: filter(keep), the items for which keep says true.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns_bool
#include <penstock/core/blame.hpp>          // defines: blame
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage, value_of, value, broken_chain

#include <optional>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] filter_stage : public positioned<filter_stage<S, F>, S, dropping_over<S>> {
public:
    static constexpr auto name = "filter";
    using item_type = typename S::item_type;
    filter_stage(S before, F keep) : filter_stage::positioned(std::move(before)), keep_(std::move(keep)) {}

    std::optional<item_type> next() {
        while (true) {  // one call: with a second one a chain of n filters would be inlined 2^n times
            auto item = this->up.next();
            if (!item || kept(*item)) return item;
        }
    }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](item_type&& item) { return !kept(item) || g(std::move(item)); };
        return penstock::for_each_while(this->up, h);
    }

private:
    bool kept(item_type& item) {
        bool const keep = blame("filter", item, [&] { return static_cast<bool>(keep_(std::as_const(value(item)))); });
        if (keep) this->waiting.join(item);
        else this->waiting.add(item);
        return keep;
    }

    F keep_;
};

/// Drops the items for which keep(item) is false. Of a keyed item keep sees the value; the next item stands for the dropped ones as well.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; keep must not depend on earlier calls. The number of items is not known before, so world_max ends here
/// Threads  none; keep runs on the thread that pulls
/// Errors   forwards those of the stages before, and of keep: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     range(6) | filter([](auto i) { return i % 2 == 0; })    // 0 2 4
template <class F>
auto filter(F keep) {
    return stage("filter", [keep = std::move(keep)]<class S>(S input) mutable {
        if constexpr (!asks::returns_bool<"filter", typename S::item_type const, F>()) return broken_chain{};
        else return filter_stage<S, F>(std::move(input), std::move(keep));
    });
}

}  // namespace penstock
