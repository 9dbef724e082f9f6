// Implements: the protocol, `source` and its optional members as concepts, and the helpers that fall back where one is missing.
#pragma once

#include <penstock/core/cover.hpp>  // defines: cover
#include <penstock/core/epoch.hpp>  // defines: epoch
#include <penstock/core/facts.hpp>  // defines: chain_facts, facts_of
#include <penstock/core/state.hpp>  // defines: state_writer, state_reader

#include <concepts>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace penstock {

/// What a chain is made of: next() yields an owned value, or nothing for ever once the epoch is over.
template <class S>
concept source = std::move_constructible<S> && requires(S& s) {
    typename S::item_type;
    { s.next() } -> std::same_as<std::optional<typename S::item_type>>;
};

/// How many items are left on this rank; without `upper` nobody knows.
struct size_hint {
    std::uint64_t lower = 0;
    std::optional<std::uint64_t> upper{};

    /// Of these items and `more`.
    size_hint plus(size_hint const& more) const {
        return {detail::sum_of(lower, more.lower).value_or(~std::uint64_t{0}), upper && more.upper ? detail::sum_of(*upper, *more.upper) : std::nullopt};
    }
    size_hint plus(std::uint64_t items) const { return plus({items, items}); }

    friend bool operator==(size_hint const&, size_hint const&) = default;
};

/// Rewinds to the start of an epoch.
template <class S>
concept resettable = requires(S& s, epoch e) { s.reset(e); };
/// Tells what is left on this rank.
template <class S>
concept hinted = requires(S const& s) { { s.hint() } -> std::same_as<size_hint>; };
/// What s says is left on this rank; unknown where it says nothing.
template <class S>
size_hint hint_of(S const& s) {
    if constexpr (hinted<S>) return s.hint();
    else return {};
}
/// Saves its position without payloads and continues from it.
template <class S>
concept resumable = requires(S const& c, S& s, state_writer& w, state_reader& r) {
    c.save(w);
    s.load(r);
};
/// Advances without making the item.
template <class S>
concept discarding = requires(S& s) { { s.discard() } -> std::same_as<bool>; };
/// Drops items and hands their cover to the next one; trailing() gives away what is left when no next one comes.
template <class S>
concept dropping = requires(S& s) { { s.trailing() } -> std::same_as<cover>; };
/// May wait for something outside the process, and ends that wait with an error once the token says so.
template <class S>
concept stoppable = requires(S& s, std::stop_token t) { s.attach(t); };

/// Advances by one item without making it where the source can; false at the end. An item that cannot be made throws, as next() would.
template <source S>
bool discard(S& s) {
    if constexpr (discarding<S>) return s.discard();
    else return s.next().has_value();
}

/// Hands every remaining item to f until f returns false; false if f stopped it. The items are those of next().
template <source S, class F>
bool for_each_while(S& s, F& f) {
    if constexpr (requires { s.for_each_while(f); }) return s.for_each_while(f);
    else {
        while (auto item = s.next())
            if (!f(std::move(*item))) return false;
        return true;
    }
}

/// Hands the next n items to f, which cannot stop it; true if there were fewer, as for_each_while says. What a source that can count on
/// its own saves is the comparison per item, and where nothing throws its loop becomes one that works on several items at a time.
template <source S, class F>
bool for_each_n(S& s, std::uint64_t n, F& f) {
    if constexpr (requires { s.for_each_n(n, f); }) return s.for_each_n(n, f);
    else {
        auto g = [&](typename S::item_type&& item) {
            f(std::move(item));
            return --n != 0;
        };
        return n != 0 && penstock::for_each_while(s, g);
    }
}

/// Places s where it says it stands, forgetting what it made ahead: what it yields from here on is made anew. Costs what a load costs.
template <resumable S>
void reload(S& s) {
    state here;
    state_writer w(here);
    std::as_const(s).save(w);
    state_reader r(here);
    s.load(r);
}

/// The positions of items that were dropped after the last one, once the source has ended; a second call gives nothing.
template <class S>
cover trailing(S& s) {
    if constexpr (dropping<S>) return s.trailing();
    else return {};
}

template <class S>
void attach(S& s, std::stop_token token) {
    if constexpr (stoppable<S>) s.attach(std::move(token));
}

/// Copies a local cursor back to its member however the scope ends.
template <class T>
class write_back {
public:
    write_back(T& member, T const& local) : member_(member), local_(local) {}
    write_back(write_back const&) = delete;
    ~write_back() { member_ = local_; }

private:
    T& member_;
    T const& local_;
};

namespace detail {
template <class S>
auto input_type_of() {
    if constexpr (requires { typename S::upstream; }) return std::type_identity<typename S::upstream>{};
    else return std::type_identity<std::remove_cvref_t<decltype(std::declval<S&>().up)>>{};
}
}  // namespace detail

/// Shows what it is built over: by its member `up`, or by `using upstream`, where that lies elsewhere.
template <class S>
concept shows_input = requires { typename S::upstream; } || requires(S& s) { s.up; };
template <shows_input S>
using input_of = typename decltype(detail::input_type_of<S>())::type;

/// What a stage returns from a build that a static_assert has refused already: it keeps further errors quiet.
struct broken_chain {};

}  // namespace penstock
