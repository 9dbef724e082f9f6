// Implements: via(fn), any view of range-v3 or of the standard library as a stage.
#pragma once

#include <penstock/ranges/feed.hpp>  // defines: feed, view_node; first, as it refuses nvcc

#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/stage.hpp>  // defines: stage, stage_over, keyed, rewrap, stage_error, broken_chain

#include <range/v3/range_fwd.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace penstock {

/// Says of a view that it makes at most one value of each item, from that item alone: filter, transform and what is built of them.
struct per_item_t {};
inline constexpr per_item_t per_item{};

namespace detail {

/// A view that is not to be kept as an item: it looks into the range that it was cut from, such as each part of views::chunk.
template <class T>
inline constexpr bool looks_elsewhere = std::is_base_of_v<::ranges::view_base, T> || (std::ranges::enable_view<T> && !std::ranges::enable_borrowed_range<T>);

template <class V>
concept steps_and_ends = std::is_object_v<V> && std::movable<V> && requires(V& v) {
    { v.begin() == v.end() } -> std::convertible_to<bool>;
    std::ranges::iter_move(v.begin());
};

template <class V>
using value_of_view = std::iter_value_t<decltype(std::declval<V&>().begin())>;

}  // namespace detail

template <class S, class F>
class [[nodiscard]] via_stage : public stage_over<S> {
    using node = detail::view_node<S, F, false>;

public:
    using item_type = detail::value_of_view<typename node::view_type>;
    via_stage(S before, F fn) : stage_over<S>(std::move(before)), fn_(std::move(fn)) {}

    std::optional<item_type> next() {
        if (!node_) node_ = std::make_unique<node>();
        auto& errors = node_->feed.errors;
        node_->feed.attach(this->up);
        if (errors.empty() && !held_ && !ended_) {
            try {
                if (node_->advance(fn_)) held_.emplace(std::ranges::iter_move(*node_->at));
                else ended_ = true;
            } catch (...) {
                errors.push_back(std::current_exception());
                if (!node_->feed.failed()) node_->moved = false;  // a function of the view threw: the next `++` passes its item
                if (!node_->at) node_->feed.empty_slot(true);  // no iterator will pass the item that its begin() failed at
            }
        }
        if (!errors.empty()) {  // they came before what is held
            auto const first = errors.front();
            errors.erase(errors.begin());
            std::rethrow_exception(first);
        }
        auto item = std::move(held_);
        held_.reset();
        return item;
    }
    void reset(epoch e)
        requires resettable<S>
    {
        this->up.reset(e);
        held_.reset();
        ended_ = false;
        if (node_) node_->close(), node_->feed.reset();
    }
    void save(state_writer&) const = delete;  // the position of a view cannot be written down
    size_hint hint() const = delete;          // nor can what it makes of the items be counted before
    chain_facts facts() const { return facts_of(this->up).uncounted(); }

private:
    F fn_;
    std::unique_ptr<node> node_;
    std::optional<item_type> held_;  // behind the errors that came before it
    bool ended_ = false;
};

template <class S, class F>
class [[nodiscard]] via_per_item_stage : public stage_over<S> {
    using input = typename S::item_type;
    using node = detail::view_node<S, F, true>;
    using made = detail::value_of_view<typename node::view_type>;

public:
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<made>()));
    via_per_item_stage(S before, F fn) : stage_over<S>(std::move(before)), fn_(std::move(fn)), node_(std::make_unique<node>()) {}

    std::optional<item_type> next() {
        if (ended_) return std::nullopt;
        auto& feed = node_->feed;
        feed.attach(this->up);
        try {
            if (node_->advance(fn_)) {
                if (!feed.fresh())
                    throw stage_error("via", fault::user, {}, "the view is declared per_item, but made a value without taking an item", "leave per_item out");
                made result(std::ranges::iter_move(*node_->at));
                auto& from = feed.delivered();
                feed.covers.join(from);
                return std::optional<item_type>(rewrap(std::move(from), std::move(result)));
            }
        } catch (...) {  // wherever the view was, a new one goes on behind the item that threw
            auto failed = feed.take_unfinished();
            node_->close();
            if (failed) blame("via", *failed, [] { throw; });
            throw;
        }
        ended_ = true;
        node_->close();
        feed.empty_slot(true);
        return std::nullopt;
    }
    void reset(epoch e)
        requires resettable<S>
    {
        this->up.reset(e);
        restart();
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        this->up.save(w);
        node_->feed.covers.save(w.stage("via", 1).put("ended", ended_));
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        this->up.load(r);
        restart();
        auto const record = r.stage("via", 1);
        ended_ = record.get("ended") != 0;
        node_->feed.covers.load(record);
    }
    size_hint hint() const {
        return {0, ended_ ? 0 : hint_of(this->up).upper};
    }
    chain_facts facts() const { return facts_of(this->up).uncounted(); }  // how many a view keeps is not known before
    cover trailing() {
        auto all = node_->feed.covers.take();
        all.add(penstock::trailing(this->up));
        return all;
    }

private:
    void restart() {
        node_->close();
        node_->feed.reset();
        node_->feed.covers = {};
        ended_ = false;
    }

    F fn_;
    std::unique_ptr<node> node_;
    bool ended_ = false;
};

namespace detail {

template <bool per_item, class F>
auto via(F fn) {
    return stage("via", [fn = std::move(fn)]<class S>(S input) mutable {
        using items = detail::feed<S, per_item>;
        constexpr bool callable = std::invocable<F&, items&>;
        static_assert(callable, "via(fn): fn cannot be called with the items as a range. HINT: take it by auto&: via([](auto& in) { return in | ranges::views::filter(keep); })");
        if constexpr (!callable) return broken_chain{};
        else {
            using view = std::invoke_result_t<F&, items&>;
            constexpr bool viewed = steps_and_ends<view>;
            static_assert(viewed, "via(fn): fn must return a view of the range that it is given, by value. HINT: via([](auto& in) { return in | ranges::views::filter(keep); })");
            if constexpr (!viewed) return broken_chain{};
            else {
                constexpr bool owned = !looks_elsewhere<value_of_view<view>>;
                static_assert(owned, "via(fn): the items of the view are views themselves, gone when the next one is asked for. HINT: keep them: | ranges::views::transform(ranges::to<std::vector>())");
                if constexpr (!owned) return broken_chain{};
                else if constexpr (per_item) return via_per_item_stage<S, F>(std::move(input), std::move(fn));
                else return via_stage<S, F>(std::move(input), std::move(fn));
            }
        }
    });
}

}  // namespace detail

/// Runs the items through the view that fn makes of them: fn gets them as a single-pass range, by reference, once per epoch. A view may call a
/// function several times for an item, so heavy work belongs into map. With `per_item` the view sees the values of keyed items, and
/// identities are kept; without, it sees the items as they are.
///
/// Order    the view's
/// Buffers  what the view holds; pulls an item when the view looks at it
/// Resume   with per_item exact, and an error in the view costs its item alone. Without, save() does not compile. world_max ends here
/// Threads  none; the view runs on the thread that pulls
/// Errors   those of the stages before come in their place, the view goes on with the items around them; those of functions in the
///          view consume its item; with per_item, over keyed items, they name the sample
///
///     range(6) | via([](auto& in) { return in | ranges::views::filter([](auto i) { return i % 2 == 0; }); }, per_item)    // 0 2 4
template <class F>
auto via(F fn, per_item_t) {
    return detail::via<true>(std::move(fn));
}
template <class F>
auto via(F fn) {
    return detail::via<false>(std::move(fn));
}

}  // namespace penstock
