// Implements: begin_of and end_of, the ends of a range as a range-for finds them.
#pragma once

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

}  // namespace penstock::detail
