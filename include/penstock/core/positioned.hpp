// Implements: positioned<Self, S>, the base of a stage that keeps a position: what it says once is reset, saved, loaded and checked for it.
#pragma once

#include <penstock/core/recut.hpp>  // defines: refuse_recut
#include <penstock/core/stage.hpp>  // defines: stage_over, source, resettable, resumable, epoch, size_hint, chain_facts, state_*

#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace penstock {

/// A number, which a state holds bit by bit.
template <class T>
concept plain_number = (std::is_arithmetic_v<T> || std::is_enum_v<T>) && sizeof(T) <= sizeof(std::uint64_t);

namespace detail {

template <plain_number T>
std::uint64_t to_bits(T x) {
    if constexpr (std::is_same_v<T, float>) return std::bit_cast<std::uint32_t>(x);
    else if constexpr (std::is_same_v<T, double>) return std::bit_cast<std::uint64_t>(x);
    else return static_cast<std::uint64_t>(x);
}
template <plain_number T>
T from_bits(std::uint64_t bits) {
    if constexpr (std::is_same_v<T, float>) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    else if constexpr (std::is_same_v<T, double>) return std::bit_cast<double>(bits);
    else return static_cast<T>(bits);
}

}  // namespace detail

/// What a position may hold: a number, or a type that writes itself into a record and reads itself back.
template <class T>
concept saveable = plain_number<T> || requires(T const& c, T& t, state_writer::record w, state_reader::record const& r) {
    c.save(w);
    t.load(r);
};

/// What position() is handed to save: every field by its name.
class position_writer {
public:
    explicit position_writer(state_writer::record r) : r_(r) {}

    template <plain_number T>
    void operator()(std::string_view name, T const& field, std::uint64_t = 0) {
        r_.put(name, detail::to_bits(field));
    }
    /// A field that writes itself.
    template <class T>
    void operator()(T const& field) {
        field.save(r_);
    }
    /// A number that is told from other members, and read back into one of its own.
    void now(std::string_view name, std::uint64_t value, std::uint64_t const&) { r_.put(name, value); }
    template <plain_number T>
    void same(std::string_view name, T argument, std::string_view = {}) {
        (*this)(name, argument);
    }

private:
    state_writer::record r_;
};

/// What position() is handed to load.
class position_reader {
public:
    position_reader(state_reader::record const& r, std::string_view stage) : r_(r), stage_(stage) {}

    /// A field of at most `most`.
    template <plain_number T>
    void operator()(std::string_view name, T& field, std::uint64_t most = (std::numeric_limits<std::uint64_t>::max)()) {
        auto const n = r_.get(name);
        if (n > most) throw state_error(message("load: ", stage_, " was saved with ", name, ' ', n, ", here it is at most ", most, hint));
        auto const read = detail::from_bits<T>(n);
        if (detail::to_bits(read) != n) throw state_error(message("load: ", stage_, ": ", name, ' ', n, " is more than its field holds\n  HINT: the state is damaged; use an older checkpoint"));
        field = read;
    }
    template <class T>
    void operator()(T& field) {
        field.load(r_);
    }
    void now(std::string_view name, std::uint64_t, std::uint64_t& member) { member = r_.get(name); }
    /// An argument of the stage, which the one that was saved must have had as well; or a hash of several, whose names are in `what`.
    template <plain_number T>
    void same(std::string_view name, T argument, std::string_view what = {}) {
        auto const saved = r_.get(name);
        if (saved == detail::to_bits(argument)) return;
        if (!what.empty()) throw state_error(message("load: ", stage_, " was saved with other ", what, hint));
        auto const shown = [](T x) {
            if constexpr (std::is_enum_v<T>) return +static_cast<std::underlying_type_t<T>>(x);
            else return +x;  // a char is a number here
        };
        throw state_error(message("load: ", stage_, " was saved with ", name, ' ', shown(detail::from_bits<T>(saved)), ", this one has ", shown(argument), hint));
    }

private:
    static constexpr auto hint = "\n  HINT: build it with the arguments that were saved";

    state_reader::record const& r_;
    std::string_view stage_;
};

namespace detail {

template <class Self>
consteval bool saves_position() {
    if constexpr (requires { Self::saveable_position; }) return Self::saveable_position;
    else return true;
}
template <class Self>
consteval int layout_of() {
    if constexpr (requires { Self::layout; }) return Self::layout;
    else return 1;
}

}  // namespace detail

/// Base of the stage `Self` over the source S, which says:
///
///     static constexpr auto name = "take";                           of its record in a state, and in messages
///     static void position(auto& self, auto& p) { p("left", self.left_, self.n_); }    its fields, by name, each with the largest value it can have;
///                                                                    p.same("n", self.n_) for an argument that a state belongs to
///     void restart() { left_ = n_; }                                 the position at the start of an epoch; may take the epoch
///
/// and, where it applies,
///
///     static constexpr auto instead = "...";         it counts the items of its rank, so an epoch that other ranks began is refused; what to use then
///     static constexpr bool draws = true;            it uses random numbers: it restarts with the key of the epoch, the stages before it with another
///     static constexpr int layout = 2;               of its record, once that has changed
///     static constexpr bool saveable_position        false where the types at hand cannot be saved
///     std::optional<n> left_of(optional<n> items)    of that many items left before it, how many it yields from here on
///     n per_epoch(n items)                           of an epoch of that many, how many it yields
///
/// Base: stage_over, or dropping_over for one that drops items.
template <class Self, source S, class Base = stage_over<S>>
struct positioned : Base {
    using base = Base;
    using base::base;

    void reset(epoch e)
        requires resettable<S>
    {
        auto& self = static_cast<Self&>(*this);
        if constexpr (requires { Self::instead; }) refuse_recut(e, self.name, Self::instead);
        if constexpr (requires { Self::draws; }) self.rewind(e.child(self.name));
        else self.rewind(e);
        if constexpr (requires { self.restart(e); }) self.restart(e);
        else if constexpr (requires { self.restart(); }) self.restart();
    }
    void save(state_writer& w) const
        requires(resumable<S> && detail::saves_position<Self>())
    {
        auto const& self = static_cast<Self const&>(*this);
        self.save_before(w);
        position_writer p(w.stage(self.name, detail::layout_of<Self>()));
        if constexpr (requires { Self::position(self, p); }) Self::position(self, p);
        if constexpr (requires { this->waiting; }) p(this->waiting);
    }
    void load(state_reader& r)
        requires(resumable<S> && detail::saves_position<Self>())
    {
        auto& self = static_cast<Self&>(*this);
        self.load_before(r);
        auto const record = r.stage(self.name, detail::layout_of<Self>());
        position_reader p(record, self.name);
        if constexpr (requires { Self::position(self, p); }) Self::position(self, p);
        if constexpr (requires { this->waiting; }) p(this->waiting);
        if constexpr (requires { self.loaded(); }) self.loaded();
    }
    size_hint hint() const {
        auto const& self = static_cast<Self const&>(*this);
        if constexpr (requires { self.left_of(std::optional<std::uint64_t>()); }) {
            auto const h = hint_of(this->up);
            return {self.left_of(std::optional(h.lower)).value_or(0), self.left_of(h.upper)};
        } else return base::hint();
    }
    chain_facts facts() const {
        auto const& self = static_cast<Self const&>(*this);
        if constexpr (requires { self.per_epoch(std::uint64_t()); }) return facts_of(this->up).recounted([&](std::uint64_t items) { return self.per_epoch(items); });
        else return base::facts();
    }

    // what `holding` does in another way
    void rewind(epoch e) { base::reset(e); }
    void save_before(state_writer& w) const { this->up.save(w); }
    void load_before(state_reader& r) { this->up.load(r); }
};

}  // namespace penstock
