// Implements: to<Container>(), all remaining items in a container of the user's choice.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, broken_chain

#include <concepts>
#include <cstddef>
#include <iterator>
#include <utility>

namespace penstock {

namespace detail {

/// An iterator from which a container's deduction guides learn the item type.
template <class T>
struct item_iterator {
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = T&&;
    using pointer = T*;
    using iterator_category = std::input_iterator_tag;

    reference operator*() const;
    item_iterator& operator++();
    item_iterator operator++(int);
    bool operator==(item_iterator const&) const;
};

template <class C, class S>
auto filled(pipeline<S> chain) {
    using item_type = typename S::item_type;
    constexpr bool ends = requires(C& c, item_type&& item) { c.insert(c.end(), std::move(item)); };
    constexpr bool pushes = requires(C& c, item_type&& item) { c.push(std::move(item)); };
    constexpr bool ok = std::default_initializable<C> && (ends || pushes);
    static_assert(ok, "to<Container>(): the container cannot be filled with the items of the chain. HINT: it needs insert(end, item) or push(item); map the items to its type first");
    if constexpr (ok) {
        C all;
        auto put = [&](item_type&& item) {
            if constexpr (ends) all.insert(all.end(), std::move(item));
            else all.push(std::move(item));
            return true;
        };
        chain.for_each_while(put);
        return all;
    } else return broken_chain{};
}

}  // namespace detail

/// Ends a chain: all items of the first epoch in a container, keyed items as they are: to<std::set>() where the item type says the rest,
/// to<std::map<int, std::string>>() where it is to be said.
///
/// Order    the container's
/// Buffers  everything
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of the stages before; the items so far are lost
///
///     from_vector({3, 1, 3}) | to<std::set>()    // 1 3
template <template <class...> class Container>
auto to() {
    return terminal([]<class S>(pipeline<S> chain) {
        using from = detail::item_iterator<typename S::item_type>;
        return detail::filled<decltype(Container(std::declval<from>(), std::declval<from>()))>(std::move(chain));
    });
}
template <class Container>
auto to() {
    return terminal([]<class S>(pipeline<S> chain) { return detail::filled<Container>(std::move(chain)); });
}

}  // namespace penstock
