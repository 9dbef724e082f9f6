// Implements: feed, the items of a stage as a range for a view that via() holds; view_node, the view and where it stands.
#pragma once

#ifdef __CUDACC__
#error "penstock/ranges/ cannot be compiled by nvcc, which does not take range-v3. HINT: include it in a .cpp file"
#endif

#include <penstock/core/dropped.hpp>  // defines: dropped
#include <penstock/core/keyed.hpp>    // defines: value_of, value
#include <penstock/core/source.hpp>   // defines: source

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::detail {

/// One item of `up` at a time, pulled when it is looked at, so that a view takes no more than it asks for. All iterators share the one position.
///
/// per_item   the view sees the value; covers of items that it passes over are kept; an exception of `up` goes through the view.
/// otherwise  the view sees the item; an exception of `up` is kept for the stage and the view sees the items around it. After
///            `most_errors` in a row one goes through the view, so that a source that fails for ever does not hold the stage for ever.
template <source S, bool per_item>
class feed {
    using item_type = typename S::item_type;
    static constexpr std::size_t most_errors = 16;

public:
    using seen_type = std::conditional_t<per_item, penstock::value_of<item_type>, item_type>;

    feed() = default;
    feed(feed const&) = delete;

    /// All five typedefs: range-v3 looks for iterator_category, the standard library for iterator_concept.
    class iterator {
    public:
        using value_type = seen_type;
        using difference_type = std::ptrdiff_t;
        using reference = seen_type&;
        using pointer = seen_type*;
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(feed& f) : feed_(&f) {}

        reference operator*() const {
            feed_->peek();
            if constexpr (per_item) return value(*feed_->slot_);
            else return *feed_->slot_;
        }
        pointer operator->() const { return std::addressof(**this); }
        iterator& operator++() {
            feed_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(iterator const& a, iterator const& b) { return a.feed_ == b.feed_; }
        bool at_end() const { return !feed_->peek(); }
        friend bool operator==(iterator const& i, std::default_sentinel_t) { return i.at_end(); }

    private:
        feed* feed_ = nullptr;
    };
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const { return {}; }

    /// The stage that holds `up` may have moved since the last call.
    void attach(S& up) { up_ = &up; }
    /// Whether the last pull threw through the view.
    bool failed() const { return failed_; }
    /// Whether the item in the slot was pulled since the last call of delivered().
    bool fresh() const { return slot_ && !delivered_; }
    /// The item that the view has just made a value of: its identity is still here.
    item_type& delivered() {
        delivered_ = true;
        return *slot_;
    }
    /// The item that a function of the view failed at, if it was one.
    std::optional<item_type> take_unfinished() {
        auto item = fresh() ? std::move(slot_) : std::nullopt;
        slot_.reset();
        delivered_ = false;
        return item;
    }
    /// The item in the slot goes; if `passed_over`, what it stands for is kept.
    void empty_slot(bool passed_over) {
        if constexpr (per_item)
            if (passed_over && fresh()) covers.add(*slot_);
        slot_.reset();
        delivered_ = false;
    }
    void reset() {
        empty_slot(false);
        failed_ = ended_ = false;
        errors.clear();
    }

    dropped covers;                          ///< of items that were passed over, for the next one
    std::vector<std::exception_ptr> errors;  ///< of `up`, which the view has not seen

private:
    bool peek() {
        failed_ = false;
        while (!slot_ && !ended_) {
            try {
                slot_ = up_->next();
                ended_ = !slot_;
            } catch (...) {
                if (per_item || errors.size() == most_errors) {
                    failed_ = true;
                    throw;
                }
                errors.push_back(std::current_exception());
            }
        }
        return slot_.has_value();
    }
    void advance() {
        if (std::exchange(failed_, false)) return;  // the item that threw is the one to pass
        peek();
        empty_slot(true);
    }

    S* up_ = nullptr;
    std::optional<item_type> slot_;
    bool delivered_ = false;
    bool failed_ = false;
    bool ended_ = false;
};

/// A view over a feed, and the view's iterator. They point to each other, so they live on the heap and never move.
template <source S, class F, bool per_item>
struct view_node {
    using items = detail::feed<S, per_item>;
    using view_type = std::invoke_result_t<F&, items&>;
    using iterator = decltype(std::declval<view_type&>().begin());
    using sentinel = decltype(std::declval<view_type&>().end());

    items feed;
    std::optional<view_type> view;
    std::optional<iterator> at;
    std::optional<sentinel> last;
    bool moved = false;  ///< `at` has not been compared since its `++`: the comparison threw

    /// To the next value of the view, the first one if it has not begun; false at its end. `++` waits until that value is asked for, so that
    /// nothing is pulled before.
    bool advance(F& f) {
        if (at) {
            if (!std::exchange(moved, false)) ++*at;
        } else {
            if (!view) view.emplace(f(feed));
            auto first = view->begin();
            last.emplace(view->end());
            at.emplace(std::move(first));
        }
        moved = true;
        bool const more = !(*at == *last);
        moved = false;
        return more;
    }
    void close() {
        moved = false;
        last.reset();
        at.reset();
        view.reset();
    }
};

}  // namespace penstock::detail
