// Implements: inspect(f), f called with every item that passes.
#pragma once

#include <penstock/core/ask.hpp>    // defines: asks::takes
#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/stage.hpp>  // defines: stage, stage_over, value_of, value, broken_chain

#include <optional>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] inspect_stage : public stage_over<S> {
public:
    using stateless = void;
    using item_type = typename S::item_type;
    inspect_stage(S before, F f) : stage_over<S>(std::move(before)), f_(std::move(f)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (item) show(*item);
        return item;
    }
    bool discard() { return penstock::discard(this->up); }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](item_type&& item) {
            show(item);
            return g(std::move(item));
        };
        return penstock::for_each_while(this->up, h);
    }

private:
    void show(item_type& item) {
        blame("inspect", item, [&] { f_(std::as_const(value(item))); });
    }

    F f_;
};

/// Calls f(item) for every item that passes, and changes nothing. Of a keyed item f sees the value.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state; items that are passed over after a load are not shown to f
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     range(3) | inspect([](auto i) { std::cout << i; }) | count()    // 3, after printing 012
template <class F>
auto inspect(F f) {
    return stage("inspect", [f = std::move(f)]<class S>(S input) mutable {
        if constexpr (!asks::takes<"inspect", typename S::item_type const, F>()) return broken_chain{};
        else return inspect_stage<S, F>(std::move(input), std::move(f));
    });
}

}  // namespace penstock
