// Implements: same_every_epoch, goes_on and identifies, what a source says of its epochs and items, asked through the stages built over it.
#pragma once

#include <penstock/core/keyed.hpp>   // defines: is_keyed
#include <penstock/core/source.hpp>  // defines: shows_input, input_of

namespace penstock {

/// Whether world_max is the same in every epoch. So it is, but for stages that say `bool same_every_epoch() const`.
template <class S>
bool same_every_epoch(S const& s) {
    if constexpr (requires { bool(s.same_every_epoch()); }) return s.same_every_epoch();
    else if constexpr (requires { s.up; }) return penstock::same_every_epoch(s.up);
    else return true;
}

/// Whether reset(e + 1) goes on where the consumer left off in epoch e. Sources do not, but for stages that say `bool goes_on() const`.
/// A stage that reads ahead places such a source at its consumer before it resets it.
template <class S>
bool goes_on(S const& s) {
    if constexpr (requires { bool(s.goes_on()); }) return s.goes_on();
    else if constexpr (requires { s.up; }) return penstock::goes_on(s.up);
    else return false;
}

namespace detail {

/// Whether items that know which sample they are flow through S, at its end or before: such a stream is one rank's part of a whole.
template <class S>
consteval bool identified() {
    if constexpr (is_keyed<typename S::item_type>) return true;
    else if constexpr (shows_input<S>) return identified<input_of<S>>();
    else return false;
}
/// The same of a source at run time, which sees through any_pipeline as well.
template <class S>
bool identifies(S const& s) {
    if constexpr (requires { bool(s.identifies()); }) return s.identifies();
    else if constexpr (!is_keyed<typename S::item_type> && requires { s.up; }) return identifies(s.up);
    else return identified<S>();
}

}  // namespace detail

}  // namespace penstock
