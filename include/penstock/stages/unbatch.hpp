// Implements: unbatch(), the items of batches one by one.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch_of, is_batch, keyed
#include <penstock/core/stage.hpp>       // defines: stage, stage_error, broken_chain
#include <penstock/stages/flat_map.hpp>  // defines: flat_map_stage

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// Whether the items of S's batches had an identity when they were batched. A stage that does not show what stands before it is taken to have one.
template <class S>
consteval bool batches_identify() {
    using item = typename S::item_type;
    if constexpr (!is_batch<item>) return is_keyed<item>;
    else if constexpr (shows_input<S>) return batches_identify<input_of<S>>();
    else return true;
}
/// Batches in a batch have a cover, but no id.
template <class S>
consteval bool opens_keyed() {
    return !is_batch<typename S::item_type::value_type> && batches_identify<S>();
}

template <class T>
struct keyed_items {
    std::vector<keyed<T>> operator()(batch_of<T>&& b) const {
        auto const n = b.items.size();
        if (b.ids.size() != n || (!b.weights.empty() && b.weights.size() != n)) {
            auto error = stage_error("unbatch", fault::content, {}, message("a batch of ", n, " items has ", b.ids.size(), " ids and ", b.weights.size(), " weights"),
                                     "let the function that makes batches keep ids and weights, or take the items alone: flat_map([](auto b) { return std::move(b.items); })");
            error.lost = n;
            error.positions = std::move(b.cover);
            throw error;
        }
        std::vector<keyed<T>> all;
        all.reserve(n);
        for (std::size_t i = 0; i != n; ++i)
            if (b.ids[i] != padding) all.push_back({b.ids[i], b.pass, {}, {}, b.weights.empty() ? 1 : b.weights[i], std::move(b.items[i])});
        if (!all.empty()) all.back().cover = std::move(b.cover);
        return all;
    }
};
template <class T>
struct plain_items {
    std::vector<T> operator()(batch_of<T>&& b) const {
        while (!b.weights.empty() && b.weights.back() == 0) {  // what batch(n, pad) filled up with
            b.weights.pop_back();
            b.items.pop_back();
        }
        if constexpr (is_batch<T>) give_back(b);
        return std::move(b.items);
    }

private:
    /// Batches in a batch have their own positions; it may hold more than theirs, dropped at the end of the epoch, and then the last one gets all.
    static void give_back(batch_of<T>& b) {
        std::uint64_t own = 0;
        for (auto const& one : b.items) own += one.cover.count();
        if (b.items.empty() || b.cover.count() == own) return;
        for (auto& one : b.items) one.cover = {};
        b.items.back().cover = std::move(b.cover);
    }
};

}  // namespace detail

/// Undoes batch(n): yields the items of every batch one by one. Items that had an identity get back id, pass and weight (not the key); the last
/// one carries the cover, so a batch counts as used when all of it was. Empty batches count as dropped.
///
/// Order    unchanged
/// Buffers  one batch
/// Resume   exact, inside a batch too: replay of at most 16 batches, one of which is taken apart again. In another world an unfinished
///          batch starts again. The number of items is not known before, so world_max ends here
/// Threads  none
/// Errors   forwards those of the stages before; stage_error for a batch without an id for every item
///
///     range(5) | batch(2) | unbatch()    // 0 1 2 3 4
inline auto unbatch() {
    return stage("unbatch", []<class S>(S input) {
        using item = typename S::item_type;
        constexpr bool ok = is_batch<item>;
        static_assert(ok, "unbatch() takes batches apart, but the stage before it yields none. HINT: put batch(n) before it; for vectors use flat_map(f)");
        if constexpr (!ok) return broken_chain{};
        else {
            using value_type = typename item::value_type;
            using open = std::conditional_t<detail::opens_keyed<S>(), detail::keyed_items<value_type>, detail::plain_items<value_type>>;
            return flat_map_stage<S, open>("unbatch", std::move(input), open{});
        }
    });
}

}  // namespace penstock
