// Implements: map_keyed(f), map for functions that look at the identity of an item.
#pragma once

#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/stage.hpp>  // defines: stage, stage_over, keyed, rewrap, broken_chain

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

template <class S, class F>
class [[nodiscard]] map_keyed_stage : public stage_over<S> {
    using input = typename S::item_type;
    using result = std::remove_cvref_t<std::invoke_result_t<F&, input const&>>;

public:
    using stateless = void;
    using item_type = std::conditional_t<is_keyed<result>, result, keyed<result>>;
    map_keyed_stage(S before, F f) : stage_over<S>(std::move(before)), f_(std::move(f)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::optional<item_type>(made(*item));
    }
    bool discard() { return penstock::discard(this->up); }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](input&& item) { return g(made(item)); };
        return penstock::for_each_while(this->up, h);
    }

private:
    item_type made(input& item) {
        auto call = [&]() -> decltype(auto) { return f_(std::as_const(item)); };
        if constexpr (is_keyed<result>) return blame("map_keyed", item, call);
        else {
            auto value = blame("map_keyed", item, call);
            return std::move(item).with(std::move(value));
        }
    }

    F f_;
};

/// Replaces every keyed item by f(item), f getting the whole item: id, pass, cover, key, weight and value.
/// A result that is keyed is taken as it is (to change a weight, say); any other becomes the value under the same identity.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, no state; f must not depend on earlier calls
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     std::move(photos) | map_keyed([](auto const& s) { return s.key + "!"; })    // a! b!
template <class F>
auto map_keyed(F f) {
    return stage("map_keyed", [f = std::move(f)]<class S>(S input) mutable {
        constexpr bool identified = is_keyed<typename S::item_type>;
        static_assert(identified, "map_keyed(f): the items before it carry no identity. HINT: use map(f), or read the items from shards");
        if constexpr (!identified) return broken_chain{};
        else {
            constexpr bool ok = std::invocable<F&, typename S::item_type const&>;
            static_assert(ok, "map_keyed(f): f cannot be called with the keyed item before it. HINT: take it by const& (it holds id, key, weight and value)");
            if constexpr (!ok) return broken_chain{};
            else {
                constexpr bool returns = !std::is_void_v<std::invoke_result_t<F&, typename S::item_type const&>>;
                static_assert(returns, "map_keyed(f): f returns nothing. HINT: return the new item or its value");
                if constexpr (returns) return map_keyed_stage<S, F>(std::move(input), std::move(f));
                else return broken_chain{};
            }
        }
    });
}

}  // namespace penstock
