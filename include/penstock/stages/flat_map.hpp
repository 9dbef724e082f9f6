// Implements: flat_map(f), the elements of the ranges that f makes of the items, one by one.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns_range
#include <penstock/core/batch_type.hpp>     // defines: is_batch
#include <penstock/core/blame.hpp>          // defines: blame, give
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/holding.hpp>        // defines: holding, tally, stage, is_keyed, value_of, value, rewrap, broken_chain
#include <penstock/core/range_access.hpp>   // defines: begin_of, end_of

#include <concepts>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

/// A container owns its elements, which may be moved out; a view, which shows those of somebody else, stays writable when it is const itself.
template <class R>
concept owns_elements = requires(R const& r) {
    { *begin_of(r) } -> std::same_as<std::remove_cvref_t<decltype(*begin_of(r))> const&>;
};

}  // namespace detail

template <class S, class F>
class [[nodiscard]] flat_map_stage : public holding<flat_map_stage<S, F>, S, dropping_over<S>> {
    using input = typename S::item_type;
    using range = std::remove_cvref_t<std::invoke_result_t<F&, value_of<input>>>;
    using iterator = decltype(detail::begin_of(std::declval<range&>()));
    using sentinel = decltype(detail::end_of(std::declval<range&>()));
    using element = std::iter_value_t<iterator>;

public:
    char const* name;  // flat_map, or that of the stage that is made of it
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<element>()));
    flat_map_stage(char const* own_name, S before, F f) : flat_map_stage::holding(std::move(before), own_name, 16), name(own_name), f_(std::move(f)) {}

    std::optional<item_type> next() {
        while (!open()) {
            auto const number = this->replay_.pulls();
            this->replay_.release(number);
            auto item = this->replay_.pull(this->up);
            if (!item) return std::nullopt;
            expand(number, std::move(*item));
        }
        return delivered();
    }
    size_hint hint() const {
        if (open()) return {now_->failure ? 0u : 1u, std::nullopt};
        return {0, hint_of(this->up).upper == 0 ? std::optional<std::uint64_t>(0) : std::nullopt};
    }
    tally held() const { return open() ? held_ : tally{}; }
    void clear() { close(); }
    static void position(auto& self, auto& p) {
        p.now("first", self.open() ? self.first_ : self.replay_.pulls(), self.first_);
        p.now("position", self.open() ? self.position_ : 0, self.position_);
    }
    void loaded() {
        auto const first = first_, delivered = position_;
        auto const wanted = [=](std::uint64_t i) { return delivered != 0 && i == first; };
        this->replay_.repeat(this->up, wanted, [&](std::uint64_t number, input&& item) { expand_again(number, std::move(item), delivered); });
        this->replay_.release(open() ? first_ : this->replay_.pulls());
    }

private:
    /// An item in parts, on the heap so that iterators into it survive a move of the stage. The item lives as long as its range, which may refer to it.
    struct expanded {
        std::optional<input> item;
        std::optional<range> all;
        std::optional<iterator> at;
        std::optional<sentinel> end;
        std::exception_ptr failure;  // of the step behind the last delivered element: it comes in order, with the next pull
    };

    bool open() const { return now_ && now_->item; }
    void close() {
        if (!now_) return;
        now_->failure = nullptr;
        now_->end.reset();
        now_->at.reset();
        now_->all.reset();
        now_->item.reset();
    }
    /// Opens the item; closed again if f throws, or makes nothing of it.
    void expand(std::uint64_t number, input&& item) {
        if (!now_) now_ = std::make_unique<expanded>();
        held_ = {};
        held_.add(item);
        auto& x = *now_;
        x.item.emplace(std::move(item));
        first_ = number;
        position_ = 0;
        try {
            x.all.emplace(give(name, *x.item, f_));
            bool const empty = blame(name, *x.item, [&] {
                x.at.emplace(detail::begin_of(*x.all));
                x.end.emplace(detail::end_of(*x.all));
                return !(*x.at != *x.end);
            });
            if (!empty) return;
        } catch (...) {
            close();
            throw;
        }
        this->waiting.add(*x.item);
        close();
    }
    void expand_again(std::uint64_t number, input&& item, std::uint64_t position) {
        auto const changed = [&](char const* what) {
            return state_error(message("load: ", name, ": the item of pull ", number, " had yielded ", position, " elements when the state was saved, ", what,
                                       "\n  HINT: the data or the function changed since; restore it, or start the epoch again"));
        };
        try {
            expand(number, std::move(item));
        } catch (...) {
            std::throw_with_nested(changed("and fails now"));
        }
        while (open() && !now_->failure && position_ != position)
            if (step()) close();
        if (!open() || position_ != position) throw changed("and yields fewer, or no more, now");
    }

    /// Passes the current element; true if it was the last one.
    bool step() {
        auto& x = *now_;
        ++position_;
        try {
            return blame(name, *x.item, [&] { return ++*x.at, !(*x.at != *x.end); });
        } catch (...) {
            x.failure = std::current_exception();
            return false;
        }
    }
    std::optional<item_type> delivered() {
        auto& x = *now_;
        if (x.failure) {
            auto const failure = std::exchange(x.failure, nullptr);
            close();
            std::rethrow_exception(failure);
        }
        auto out = std::optional<item_type>{};
        try {
            auto one = blame(name, *x.item, [&]() -> element {
                if constexpr (detail::owns_elements<range>) return std::move(**x.at);
                else return **x.at;
            });
            bool const last = step();
            if constexpr (!is_keyed<input>) out.emplace(std::move(one));
            else if (last) out.emplace(std::move(*x.item).with(std::move(one)));
            else out.emplace(item_type{x.item->id, x.item->pass, {}, x.item->key, x.item->weight, std::move(one)});
            if (last) close();
        } catch (...) {
            close();
            throw;
        }
        this->waiting.join(*out);
        if (!open()) this->replay_.release(this->replay_.pulls());
        return out;
    }

    F f_;
    std::unique_ptr<expanded> now_;  // made once, for the first item
    std::uint64_t first_ = 0;        // number of the pull of the open item
    std::uint64_t position_ = 0;     // elements of it that were delivered
    tally held_;
};

/// Replaces every item by the elements of f(item), f returning a container or any other range by value. Of a keyed item f gets the value; every
/// element keeps id, pass, key and weight, and the last one carries the cover, so an item counts as used when all of it was. An item with no
/// element counts as dropped. A range may be lazy (a generator, a view of the item): it runs one element ahead of what is delivered.
///
/// Order    unchanged, the elements of an item together
/// Buffers  one item and its range
/// Resume   exact, inside an item too: replay of at most 16 items, one of which f expands again. In another world an unfinished item starts again.
///          f must not depend on earlier calls. The number of items is not known before, so world_max ends here
/// Threads  none; f and its range run on the thread that pulls
/// Errors   forwards those of the stages before, and of f and its range: over keyed items as a stage_error that names the sample.
///          Either consumes its item, with the elements that were still to come
///
///     range(4) | flat_map([](auto n) { return std::string(static_cast<std::size_t>(n), 'a'); })    // a aa aaa, letter by letter
template <class F>
auto flat_map(F f) {
    return stage("flat_map", [f = std::move(f)]<class S>(S input) mutable {
        if constexpr (!asks::returns_range<"flat_map", typename S::item_type, F>()) return broken_chain{};
        else return flat_map_stage<S, F>("flat_map", std::move(input), std::move(f));
    });
}

}  // namespace penstock
