// Implements: what the stages that make batches share: gather, an item put into a batch, and costed items, which know a number about themselves.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch_of, is_batch
#include <penstock/core/blame.hpp>       // defines: blame
#include <penstock/core/errors.hpp>      // defines: stage_error, message
#include <penstock/core/keyed.hpp>       // defines: is_keyed, value_of, value, rewrap
#include <penstock/core/stage.hpp>       // defines: stage_over, discard

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace penstock {

/// What to do with an item that costs more than a whole batch may.
enum class oversize {
    refuse,  ///< stage_error that names the sample and consumes it
    alone,   ///< a batch of its own
};

namespace detail {

template <class T>
consteval bool copyable() {
    if constexpr (!std::copy_constructible<T>) return false;
    else if constexpr (requires { typename T::value_type; }) return std::same_as<typename T::value_type, T> || copyable<typename T::value_type>();
    else return true;
}

}  // namespace detail

/// Whether a stage may copy items of type T. A container of what only moves claims that it can be copied, so its elements are asked as well;
/// a struct that has one as a member needs a specialisation that says false.
template <class T>
inline constexpr bool can_copy = detail::copyable<T>();

namespace detail {

/// Appends the item; keyed items leave id, weight and cover beside the value.
template <class T, class Item>
void gather(batch_of<T>& batch, Item&& item) {
    if constexpr (is_keyed<std::remove_cvref_t<Item>>) {
        if (batch.empty()) batch.pass = item.pass;
        batch.items.push_back(std::move(item.value));
        batch.ids.push_back(item.id);
        batch.weights.push_back(item.weight);
        batch.cover.add(item.cover);
    } else {
        if constexpr (is_batch<std::remove_cvref_t<Item>>) batch.cover.add(item.cover);  // both carry it, until unbatch() gives it back to the items
        batch.items.push_back(std::move(item));
    }
}

template <class T>
struct costed {
    T value;
    std::uint64_t cost;
};

/// The items of S with what cost(value) says of each. A cost that throws, or that exceeds `limit`, fails as the pull of that item, so that a stage
/// behind it that holds items meets the same failure when it pulls again.
template <class S, class F>
class costed_stage : public stage_over<S> {
    using input = typename S::item_type;

public:
    using stateless = void;
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<costed<penstock::value_of<input>>>()));
    costed_stage(char const* name, S before, F cost, std::uint64_t limit) : stage_over<S>(std::move(before)), name_(name), cost_(std::move(cost)), limit_(limit) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::optional<item_type>(made(*item));
    }
    bool discard() { return penstock::discard(this->up); }
    template <class G>
    bool for_each_while(G& g) {
        auto h = [&](input&& item) { return g(made(item)); };
        return penstock::for_each_while(this->up, h);
    }

private:
    item_type made(input& item) {
        auto const cost = blame(name_, item, [&] { return cost_(std::as_const(value(item))); });
        if (std::cmp_less(cost, 0)) refuse(item, message("an item must cost 0 or more, got ", cost), "return a number of tokens, pixels or bytes");
        auto const number = static_cast<std::uint64_t>(cost);
        if (number > limit_) refuse(item, message("an item costs ", number, ", more than the ", limit_, " of a whole batch"), "raise the budget, filter such items out, or {.oversize = oversize::alone}");
        auto with_cost = costed<penstock::value_of<input>>{std::move(value(item)), number};
        return rewrap(std::move(item), std::move(with_cost));
    }
    [[noreturn]] void refuse(input& item, std::string const& cause, std::string_view hint) const {
        auto where = place{};
        if constexpr (is_keyed<input>) where = {.key = item.key, .sample = item.id};
        auto error = stage_error(name_, fault::content, std::move(where), cause, hint);
        if constexpr (is_keyed<input>) error.positions = std::move(item.cover);
        throw error;
    }

    char const* name_;
    F cost_;
    std::uint64_t limit_;
};

/// The costed item without its cost.
template <class Item>
auto without_cost(Item&& item) {
    auto inner = std::move(value(item).value);
    return rewrap(std::move(item), std::move(inner));
}

}  // namespace detail

}  // namespace penstock
