// Implements: map(f), every item replaced by what f makes of it.
#pragma once

#include <penstock/core/ask.hpp>    // defines: asks::returns
#include <penstock/core/blame.hpp>  // defines: give
#include <penstock/core/stage.hpp>  // defines: stage, stage_over, is_keyed, value_of, rewrap, broken_chain

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

/// Every item replaced by make(item&), which may move from it: the stage of map and of map_keyed.
template <class S, class Make>
class [[nodiscard]] map_stage : public stage_over<S> {
    using input = typename S::item_type;

public:
    using stateless = void;
    using item_type = std::invoke_result_t<Make&, input&>;
    map_stage(S before, Make make) : stage_over<S>(std::move(before)), make_(std::move(make)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::optional<item_type>(make_(*item));
    }
    bool discard() { return penstock::discard(this->up); }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](input&& item) { return g(make_(item)); };
        return penstock::for_each_while(this->up, h);
    }
    template <class G>
    bool for_each_n(std::uint64_t n, G& g) {
        auto h = [&](input&& item) { g(make_(item)); };
        return penstock::for_each_n(this->up, n, h);
    }

private:
    Make make_;
};

namespace detail {
/// A struct, not a lambda: it can be assigned wherever F can.
template <class F>
struct over_value {
    F f;
    template <class Item>
    auto operator()(Item& item) {
        decltype(auto) result = give("map", item, f);
        return rewrap(std::move(item), std::forward<decltype(result)>(result));
    }
};
}  // namespace detail

/// Replaces every item by f(item). Of a keyed item f gets the value, and the result keeps id, cover, key and weight.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state; f must not depend on earlier calls. Items that are passed over after a load are not made
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     from_vector({1, 2, 3}) | map([](int i) { return i * i; })    // 1 4 9
template <class F>
auto map(F f) {
    return stage("map", [f = std::move(f)]<class S>(S input) mutable {
        if constexpr (!asks::returns<"map", typename S::item_type, F>()) return broken_chain{};
        else return map_stage<S, detail::over_value<F>>(std::move(input), {std::move(f)});
    });
}

}  // namespace penstock
