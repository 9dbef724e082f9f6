// Implements: filter_map(f), what f makes of the items for which it makes something.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns_optional
#include <penstock/core/blame.hpp>          // defines: give
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage, is_keyed, value_of, value, rewrap, broken_chain

#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] filter_map_stage : public positioned<filter_map_stage<S, F>, S, dropping_over<S>> {
    using input = typename S::item_type;
    using made = typename std::remove_cvref_t<std::invoke_result_t<F&, value_of<input>>>::value_type;

public:
    static constexpr auto name = "filter_map";
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<made>()));
    filter_map_stage(S before, F f) : filter_map_stage::positioned(std::move(before)), f_(std::move(f)) {}

    std::optional<item_type> next() {
        while (auto item = this->up.next())
            if (auto out = kept(*item)) return out;
        return std::nullopt;
    }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](input&& item) {
            auto out = kept(item);
            return !out || g(std::move(*out));
        };
        return penstock::for_each_while(this->up, h);
    }

private:
    std::optional<item_type> kept(input& item) {
        std::optional<made> out = give("filter_map", item, f_);
        if (!out) return this->waiting.add(item), std::nullopt;
        this->waiting.join(item);
        return std::optional<item_type>(rewrap(std::move(item), *std::move(out)));
    }

    F f_;
};

/// Replaces every item by *f(item), f returning an optional, and drops those for which f returns nothing. Of a keyed item f gets the value;
/// the result keeps id, cover, key and weight, and the next item stands for the dropped ones as well.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact; f must not depend on earlier calls. The number of items is not known before, so world_max ends here
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     range(5) | filter_map([](auto i) { return i % 2 ? std::optional(10 * i) : std::nullopt; })    // 10 30
template <class F>
auto filter_map(F f) {
    return stage("filter_map", [f = std::move(f)]<class S>(S input) mutable {
        if constexpr (!asks::returns_optional<"filter_map", typename S::item_type, F>()) return broken_chain{};
        else return filter_map_stage<S, F>(std::move(input), std::move(f));
    });
}

}  // namespace penstock
