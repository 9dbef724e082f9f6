// Implements: from_range(r), the elements of any range: a container, a view, something read once.
#pragma once

#include <penstock/core/range_access.hpp>  // defines: begin_of, end_of
#include <penstock/core/stage.hpp>         // defines: pipeline, epoch, size_hint, state_*, write_back, broken_chain

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>  // declares std::ranges::enable_view without <ranges>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

template <class R>
concept iterable = requires(R& r) {
    { begin_of(r) } -> std::input_iterator;
    { end_of(r) } -> std::sentinel_for<decltype(begin_of(r))>;
};

template <class T>
inline constexpr bool is_reference_wrapper = false;
template <class T>
inline constexpr bool is_reference_wrapper<std::reference_wrapper<T>> = true;

}  // namespace detail

/// Over R in place of its own, or over a std::reference_wrapper to one that is the caller's.
template <class Held>
class range_of_source {
    static constexpr bool borrowed = detail::is_reference_wrapper<Held>;
    static auto& range_in(Held& held) {
        if constexpr (borrowed) return held.get();
        else return held;
    }
    using range = std::remove_reference_t<decltype(range_in(std::declval<Held&>()))>;
    using iterator = decltype(detail::begin_of(std::declval<range&>()));
    using sentinel = decltype(detail::end_of(std::declval<range&>()));
    using reference = std::iter_reference_t<iterator>;
    static constexpr bool indexed = std::random_access_iterator<iterator>;
    static constexpr bool counted = std::sized_sentinel_for<sentinel, iterator> || requires(range& r) { std::size(r); };

public:
    using item_type = std::iter_value_t<iterator>;
    static constexpr bool copies = std::constructible_from<item_type, reference>;
    static constexpr bool lasting = std::forward_iterator<iterator> && copies && !std::is_rvalue_reference_v<reference>;  // can be read again
    static constexpr char const* name = "from_range";

    explicit range_of_source(Held held) : held_(std::make_unique<Held>(std::move(held))) {}

    std::optional<item_type> next() {
        if (!to_next()) return std::nullopt;
        given_ = true;  // an element that throws has been delivered
        ++index_;
        return std::optional<item_type>(element(*at_->first));
    }
    bool discard() {
        if (!to_next()) return false;
        given_ = true;
        ++index_;
        return true;
    }
    void reset(epoch)
        requires lasting
    {
        at_.reset();
        given_ = false;
        index_ = 0;
    }
    size_hint hint() const
        requires counted
    {
        auto const left = size() - index_;
        return {left, left};
    }
    chain_facts facts() const {
        if constexpr (lasting && counted) return whole_of(size());
        else return {};
    }
    std::uint64_t size() const
        requires counted
    {
        auto& r = range_in(*held_);
        if constexpr (requires { std::size(r); }) return static_cast<std::uint64_t>(std::size(r));
        else return static_cast<std::uint64_t>(detail::end_of(r) - detail::begin_of(r));
    }
    item_type item(std::uint64_t number) const
        requires(lasting && indexed && counted)
    {
        return item_type(detail::begin_of(range_in(*held_))[static_cast<std::iter_difference_t<iterator>>(number)]);
    }
    void save(state_writer& w) const
        requires(indexed && counted)
    {
        w.stage(name, 1).identify("size", size()).put("at", index_);
    }
    void load(state_reader& r)
        requires(indexed && counted)
    {
        auto const record = r.stage(name, 1);
        auto const n = record.get("size"), at = record.get("at");
        if (n != size() || at > n)
            throw state_error(message("load: from_range: saved at ", at, " of ", n, ", this one has ", size(), "\n  HINT: build the chain over the range that was saved"));
        start();
        at_->first = detail::begin_of(range_in(*held_)) + static_cast<std::iter_difference_t<iterator>>(at);
        given_ = false;
        index_ = at;
    }
    template <class F>
    bool for_each_while(F& f)
        requires std::forward_iterator<iterator>
    {
        if (!to_next()) return true;
        auto it = at_->first;
        auto const last = at_->second;
        auto index = index_;
        write_back back_to_it{at_->first, it};
        write_back back_to_index{index_, index};
        given_ = true;
        while (true) {
            ++index;
            if (!f(element(*it))) return false;
            auto following = it;
            if (++following == last) return true;
            it = following;
        }
    }

private:
    void start() {
        if (!at_) at_.emplace(detail::begin_of(range_in(*held_)), detail::end_of(range_in(*held_)));
    }
    /// Steps only when the next element is wanted: what is read once must not be read ahead.
    bool to_next() {
        start();
        if (given_ && at_->first != at_->second) ++at_->first;
        given_ = false;
        return at_->first != at_->second;
    }
    item_type element(reference r) {
        if constexpr (copies) return item_type(std::forward<reference>(r));
        else return item_type(std::move(r));
    }

    std::unique_ptr<Held> held_;  // on the heap: iterators must outlive a move of the source
    std::optional<std::pair<iterator, sentinel>> at_;
    bool given_ = false;  // the element at the iterator has been delivered
    std::uint64_t index_ = 0;
};

/// The elements of `r`, as values. An rvalue container or view is kept, a named view is copied, and of a named container std::ref(r) or
/// std::cref(r) is read in place, which must then outlive the pipeline. Elements are copied; those of a kept container that cannot be copied are moved out, once.
///
/// Order    the range's
/// Buffers  the range, unless it is the caller's
/// Resume   exact by index where the range is random-access and sized, and in another world with split_by_rank right behind it; a forward range can be reset, but not saved; one that is read once neither
/// Threads  none
/// Errors   what iterating throws, which consumes the element
///
///     from_range(std::list{10, 20, 30}) | collect()    // 10 20 30
template <class R>
auto from_range(R&& r) {
    using held = std::remove_cvref_t<R>;
    constexpr bool wrapped = detail::is_reference_wrapper<held>;
    constexpr bool named = std::is_lvalue_reference_v<R>;
    constexpr bool kept = wrapped || !named || std::ranges::enable_view<held>;
    static_assert(kept, "from_range(r): r is a named container, which the pipeline could outlive. HINT: give it away with std::move(r), or std::ref(r) to read it in place");
    if constexpr (!kept) return broken_chain{};
    else {
        using range = typename decltype([] {
            if constexpr (wrapped) return std::type_identity<typename held::type>{};
            else return std::type_identity<held>{};
        }())::type;
        constexpr bool ok = detail::iterable<range>;
        static_assert(ok, "from_range(r): r is no range: it has no begin() and end() over elements. HINT: give a container or a view");
        if constexpr (!ok) return broken_chain{};
        else {
            using reference = std::iter_reference_t<decltype(detail::begin_of(std::declval<range&>()))>;
            constexpr bool readable = range_of_source<held>::copies || (!wrapped && std::is_lvalue_reference_v<reference>);
            static_assert(readable, "from_range(r): the elements cannot be copied out of a range that is not the pipeline's own. HINT: give it away with std::move(r)");
            if constexpr (readable) return pipeline(range_of_source<held>(std::forward<R>(r)));
            else return broken_chain{};
        }
    }
}

}  // namespace penstock
