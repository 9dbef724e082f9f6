// Implements: blame(stage, item, f), which names the sample where a user's function fails, and give(stage, item, f), which hands f the value: neither loses its positions.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: is_batch
#include <penstock/core/errors.hpp>      // defines: stage_error, place, fault
#include <penstock/core/keyed.hpp>       // defines: is_keyed, keyed

#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace penstock {

namespace detail {

/// How many samples are lost with an item.
template <class Item>
std::uint64_t samples_of([[maybe_unused]] Item const& item) {
    if constexpr (!is_batch<Item>) return 1;
    else if (item.ids.size() != item.size()) return item.size();
    else return static_cast<std::uint64_t>(std::ranges::count_if(item.ids, [](std::uint64_t id) { return id != padding; }));
}

/// Throws what is being handled as a stage_error about the sample, or about `lost` of a batch, the failure itself nested in it.
template <class Item>
[[noreturn, gnu::cold, gnu::noinline]] void rethrow_for(char const* stage, Item& item, std::uint64_t lost = 1) {
    if constexpr (is_batch<Item>)
        if (item.cover.empty()) throw;  // of items that come from no shard
    auto kind = fault::user;
    auto where = place{};
    if constexpr (is_keyed<Item>) {
        if constexpr (requires { place(item.value.where()); })  // empty where f took the value away
            if (auto at = item.value.where(); !at.shard.empty()) where = std::move(at);
        where.key = item.key;
        where.sample = item.id;
    }
    std::string cause = "threw something that is no std::exception", hint;
    try {
        throw;
    } catch (stage_error const& e) {
        kind = e.kind;
        where.shard = e.where.shard;
        where.byte = e.where.byte;
        if (where.key.empty()) where.key = e.where.key;
        if (!where.sample) where.sample = e.where.sample;
        cause = e.stage == stage ? e.cause : message(e.stage, ": ", e.cause);
        hint = e.hint;
    } catch (std::exception const& e) {
        cause = e.what();
    } catch (...) {
    }
    auto error = stage_error(stage, kind, std::move(where), cause, hint);
    error.lost = lost;
    error.positions = std::move(item.cover);
    std::throw_with_nested(std::move(error));
}

}  // namespace detail

/// f(), on behalf of `stage` and `item`. An exception over a keyed item, or a batch of some, becomes a stage_error with key, id and the item's
/// positions, which on_error hands to the next item; over any other item it passes as it is. The item's key, id and cover must be intact while f runs.
template <class Item, class F>
decltype(auto) blame([[maybe_unused]] char const* stage, [[maybe_unused]] Item& item, F&& f) {
    if constexpr (!is_keyed<Item> && !is_batch<Item>) return f();
    else try {
            return f();
        } catch (...) {
            detail::rethrow_for(stage, item, detail::samples_of(item));
        }
}

/// f(the value of the item), which may move from it, on behalf of `stage`. Who the item is and the positions it stands for stay in `item`, ready for
/// rewrap(item, result), also where f takes a whole batch, or throws.
template <class Item, class F>
decltype(auto) give(char const* stage, Item& item, F&& f) {
    if constexpr (is_batch<Item>) {
        struct keep {
            Item& item;
            cover positions;
            std::string source;
            ~keep() {
                item.cover = std::move(positions);
                item.source = std::move(source);
            }
        };
        auto const lost = detail::samples_of(item);  // f may take them
        try {
            keep const on_exit{item, item.cover, item.source};
            return f(std::move(item));
        } catch (...) {
            detail::rethrow_for(stage, item, lost);
        }
    } else if constexpr (is_keyed<Item>) return blame(stage, item, [&]() -> decltype(auto) { return f(std::move(item.value)); });
    else return f(std::move(item));
}

}  // namespace penstock
