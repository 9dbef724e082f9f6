// Implements: asks::takes, asks::returns and their kin: what a stage asks of the function it is given, each with the sentence of the compiler where it is not so.
#pragma once

#include <penstock/core/keyed.hpp>         // defines: value_of, is_keyed, is_batch
#include <penstock/core/range_access.hpp>  // defines: walkable
#include <penstock/core/sentence.hpp>      // defines: sentence

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

/// What a function gets of an item. Item: its value, to take away. Item const: a look at its value. Item const&: a look at the whole, keyed as it is.
template <class Item>
struct handed {
    using type = penstock::value_of<Item>;
};
template <class Item>
struct handed<Item const> {
    using type = penstock::value_of<Item> const&;
};
template <class Item>
struct handed<Item const&> {
    using type = Item const&;
};

template <class Item, class F, class... Before>
concept takes = std::invocable<F&, Before..., typename handed<Item>::type>;
template <class Item, class F, class... Before>
using answer = std::invoke_result_t<F&, Before..., typename handed<Item>::type>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
concept ordered = requires(T const& key) { { key < key } -> std::convertible_to<bool>; };

enum class misfit { none, item, value, whole, batch, pair, batch_pair };

template <class Item, class F, class... Before>
consteval misfit misfit_of() {
    constexpr bool alone = sizeof...(Before) == 0, batch = is_batch<penstock::value_of<std::remove_cvref_t<Item>>>;
    if constexpr (takes<Item, F, Before...>) return misfit::none;
    else if constexpr (!alone) return batch ? misfit::batch_pair : misfit::pair;
    else if constexpr (std::is_reference_v<Item>) return misfit::whole;
    else if constexpr (batch) return misfit::batch;
    else return is_keyed<std::remove_const_t<Item>> ? misfit::value : misfit::item;
}

}  // namespace detail

/// Whether F is what `stage` asks for, over items of type Item: see detail::handed for what F gets of them, and behind what: Before.
/// The compiler prints the arguments along with the sentence, so that the user reads which stage, which item and which function. Every
/// demand holds those that it builds on, and says nothing of its own where one of these is not met: a mistake is one error.
///
///     if constexpr (!asks::returns<"map", typename S::item_type, F>()) return broken_chain{};
///     else return map_stage<S, F>(...);
namespace asks {

template <sentence stage, class Item, class F, class... Before>
consteval bool takes() {
    using enum detail::misfit;
    constexpr auto is = detail::misfit_of<Item, F, Before...>();
    static_assert(is != item, "the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&");
    static_assert(is != value, "the function of this stage cannot be called with the value of a keyed item. HINT: take the value by value, const& or auto&&; map_keyed(f) gives the whole item");
    static_assert(is != whole, "the function of this stage cannot be called with a keyed item. HINT: take it by const& (it holds id, key, weight and value)");
    static_assert(is != batch, "the function of this stage cannot be called with a batch. HINT: it gets the whole batch: loop over b.items, or put this stage before batch(), or unbatch() before it");
    static_assert(is != pair, "the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then an item of the stage before it. HINT: give the first the type that the stage was given, and take the item by value, const& or auto&&");
    static_assert(is != batch_pair, "the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then a batch. HINT: it gets the whole batch: loop over b.items, or put this stage before batch(), or unbatch() before it");
    return is == none;
}

template <sentence stage, class Item, class F, class... Before>
consteval bool returns() {
    if constexpr (!takes<stage, Item, F, Before...>()) return false;
    else {
        constexpr bool ok = !std::is_void_v<detail::answer<Item, F, Before...>>;
        static_assert(ok, "the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look");
        return ok;
    }
}

/// For several threads at once.
template <sentence stage, class Item, class F>
consteval bool returns_as_const() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        constexpr bool ok = detail::takes<Item, F const>;
        static_assert(ok, "several threads call the function of this stage at once, so it must be callable as const. HINT: drop `mutable`, and keep what a call changes inside the call");
        if constexpr (ok) return returns<stage, Item, F const>();
        else return false;
    }
}

template <sentence stage, class Item, class F>
consteval bool returns_bool() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        constexpr bool ok = std::predicate<F&, typename detail::handed<Item>::type>;
        static_assert(ok, "the function of this stage must return bool. HINT: return a comparison, as in [](auto const& item) { return item > 0; }");
        return ok;
    }
}

template <sentence stage, class Item, class F>
consteval bool returns_optional() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        constexpr bool ok = detail::is_optional<std::remove_cvref_t<detail::answer<Item, F>>>;
        static_assert(ok, "the function of this stage must return a std::optional, which is empty for the items to drop. HINT: use map(f) to keep every item");
        return ok;
    }
}

template <sentence stage, class Item, class F>
consteval bool returns_range() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        constexpr bool ok = detail::walkable<std::remove_cvref_t<detail::answer<Item, F>>>;
        static_assert(ok, "the function of this stage must return a range, as a vector or a string is one. HINT: use map(f) for one result per item");
        return ok;
    }
}

template <sentence stage, class Item, class F>
consteval bool returns_number() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        using number = std::remove_cvref_t<detail::answer<Item, F>>;
        constexpr bool ok = std::integral<number> && !std::same_as<number, bool>;
        static_assert(ok, "the function of this stage must return a whole number. HINT: return how many tokens, pixels or bytes the item has; static_cast<std::uint64_t>(x) makes one of a fraction");
        return ok;
    }
}

template <sentence stage, class Item, class F>
consteval bool returns_key() {
    if constexpr (!takes<stage, Item, F>()) return false;
    else {
        constexpr bool ok = detail::ordered<std::decay_t<detail::answer<Item, F>>>;
        static_assert(ok, "the function of this stage must return a key that < compares. HINT: return a number or a string");
        return ok;
    }
}

template <sentence stage, class Item, class F, class Total>
consteval bool returns_total() {
    if constexpr (!takes<stage, Item, F, Total>()) return false;
    else {
        constexpr bool ok = requires(Total t) { t = static_cast<Total>(std::declval<detail::answer<Item, F, Total>>()); };
        static_assert(ok, "the function of this stage must return the new total, of a type that converts to that of init. HINT: give init the type of the sum");
        return ok;
    }
}

}  // namespace asks

}  // namespace penstock
