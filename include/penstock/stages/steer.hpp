// Implements: steer(control, f), map whose function also gets the value of a control.
#pragma once

#include <penstock/core/ask.hpp>         // defines: asks::returns
#include <penstock/core/blame.hpp>       // defines: give
#include <penstock/core/control.hpp>     // defines: control, steering, control_walk
#include <penstock/core/positioned.hpp>  // defines: positioned, stage, value_of, rewrap, broken_chain

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

template <class S, class T, class F>
class [[nodiscard]] steer_stage : public positioned<steer_stage<S, T, F>, S> {
    using input = typename S::item_type;

public:
    static constexpr auto name = "steer";
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<std::invoke_result_t<F&, T, value_of<input>>>()));
    steer_stage(S before, control<T> const& c, F f) : steer_stage::positioned(std::move(before)), steering_(c), f_(std::move(f)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::optional<item_type>(made(*item, item_++));
    }
    bool discard() {
        bool const more = penstock::discard(this->up);
        item_ += more;
        return more;
    }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](input&& item) { return g(made(item, item_++)); };
        return penstock::for_each_while(this->up, h);
    }
    static void position(auto& self, auto& p) { p("item", self.item_); }
    void controls(control_walk& w) const {
        if constexpr (steered<S>) this->up.controls(w);
        w(steering_, item_, "steer");
    }

private:
    item_type made(input& item, std::uint64_t number) {
        auto const now = steering_.value(number);
        decltype(auto) result = give("steer", item, [&](auto&& value) -> decltype(auto) { return f_(now, std::forward<decltype(value)>(value)); });
        return rewrap(std::move(item), std::forward<decltype(result)>(result));
    }

    mutable steering<T> steering_;  // a walk changes it through the pipeline, which is not const then
    F f_;
    std::uint64_t item_ = 0;  // number of the next item, counted on over epochs; one that throws has a number too
};

/// Replaces every item by f(value of the control, item). Of a keyed item f gets the value inside. See control.hpp for when a change holds.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact: the number of the item, and every change that what is held may need, with its place
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     range(3) | steer(control<int>("scale", 10), [](int scale, auto i) { return scale * i; })    // 0 10 20
template <class T, class F>
auto steer(control<T> c, F f) {
    return stage("steer", [c = std::move(c), f = std::move(f)]<class S>(S input) mutable {
        if constexpr (!asks::returns<"steer", typename S::item_type, F, T>()) return broken_chain{};
        else return steer_stage<S, T, F>(std::move(input), c, std::move(f));
    });
}

}  // namespace penstock
