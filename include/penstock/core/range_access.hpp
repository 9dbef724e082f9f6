// Implements: begin_of and end_of, the ends of a range as a range-for finds them, and walkable, what has them.
#pragma once

#include <concepts>
#include <iterator>

namespace penstock::detail {

/// A namespace of its own, so that `using std::begin` stays here. std::ranges::begin does the same behind <ranges>, which costs more than all of core.
namespace range_access {

using std::begin;
using std::end;
template <class R>
auto begin_of(R& r) -> decltype(begin(r)) {
    return begin(r);
}
template <class R>
auto end_of(R& r) -> decltype(end(r)) {
    return end(r);
}

}  // namespace range_access
using range_access::begin_of;
using range_access::end_of;

/// What can be walked once: <ranges> would say input_range, at a quarter of a second per file.
template <class R>
concept walkable = std::move_constructible<R> && requires(R& r) {
    { begin_of(r) != end_of(r) } -> std::convertible_to<bool>;
    typename std::iter_value_t<decltype(begin_of(r))>;
};

}  // namespace penstock::detail
