// Implements: keyed<T>, an item that knows which sample it is; unkeyed stages reach through it to the value.
#pragma once

#include <penstock/core/cover.hpp>  // defines: cover, interval

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock {

/// A value and its identity. Streams from shards yield these; map, filter and decode call the user's function with `value` and re-wrap.
template <class T>
struct keyed {
    std::uint64_t id = 0;    ///< number of the sample in the data set, in list order: the same in every pass, rank and world
    std::uint64_t pass = 0;  ///< which pass over the data set this is
    penstock::cover cover{};  ///< line positions it stands for; committed once its step is applied
    std::string key{};       ///< the sample's name inside its shard
    double weight = 1;       ///< what it counts in the loss
    T value;  // no `= {}`: Clang asks every T for a default constructor then

    /// The same identity around another value.
    template <class U>
    keyed<std::decay_t<U>> with(U&& other) && {
        return {id, pass, std::move(cover), std::move(key), weight, std::forward<U>(other)};
    }
};

template <class T>
struct batch_of;  // in batch_type.hpp

template <class T>
inline constexpr bool is_keyed = false;
template <class T>
inline constexpr bool is_keyed<keyed<T>> = true;
template <class T>
inline constexpr bool is_batch = false;
template <class T>
inline constexpr bool is_batch<batch_of<T>> = true;

namespace detail {
template <class Item>
struct value_of {
    using type = Item;
};
template <class T>
struct value_of<keyed<T>> {
    using type = T;
};
}  // namespace detail

/// What a user's function sees of an item: T of keyed<T>, the item itself otherwise.
template <class Item>
using value_of = typename detail::value_of<Item>::type;

template <class Item>
decltype(auto) value(Item& item) {
    if constexpr (is_keyed<std::remove_const_t<Item>>) return (item.value);
    else return (item);
}

/// The item that carries `result` in place of the value of `item`: keyed<U>, a batch that stands for the same positions of the same source, or U itself.
template <class Item, class U>
auto rewrap(Item&& item, U&& result) {
    using old = std::remove_cvref_t<Item>;
    if constexpr (is_keyed<old>) return std::forward<Item>(item).with(std::forward<U>(result));
    else {
        auto out = std::decay_t<U>(std::forward<U>(result));
        if constexpr (is_batch<old> && is_batch<std::decay_t<U>>) {
            out.cover = std::move(item.cover);
            if (out.source.empty()) out.source = std::move(item.source);
        }
        return out;
    }
}

}  // namespace penstock
