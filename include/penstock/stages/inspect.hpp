// Implements: inspect(f), f called with every item that passes.
#pragma once

#include <penstock/core/stage.hpp>  // defines: stage, stage_over, value_of, value, broken_chain

#include <concepts>
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
        if (item) f_(std::as_const(value(*item)));
        return item;
    }
    bool discard() { return penstock::discard(this->up); }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](item_type&& item) {
            f_(std::as_const(value(item)));
            return g(std::move(item));
        };
        return penstock::for_each_while(this->up, h);
    }

private:
    F f_;
};

/// Calls f(item) for every item that passes, and changes nothing. Of a keyed item f sees the value.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state; items that are passed over after a load are not shown to f
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of f and of the stages before; either consumes its item
///
///     range(3) | inspect([](auto i) { std::cout << i; }) | count()    // 3, after printing 012
template <class F>
auto inspect(F f) {
    return stage([f = std::move(f)]<class S>(S input) mutable {
        static_assert(source<S>, "inspect works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()");
        if constexpr (!source<S>) return broken_chain{};
        else {
            constexpr bool ok = std::invocable<F&, value_of<typename S::item_type> const&>;
            static_assert(ok, "inspect(f): f cannot be called with the item type of the stage before it. HINT: take it by const&");
            if constexpr (ok) return inspect_stage<S, F>(std::move(input), std::move(f));
            else return broken_chain{};
        }
    });
}

}  // namespace penstock
