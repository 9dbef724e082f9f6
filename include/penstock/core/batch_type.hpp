// Implements: batch_of<T>, what batch(n) yields: items, and beside them who they are.
#pragma once

#include <penstock/core/keyed.hpp>  // defines: keyed, cover

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace penstock {

/// A mini-batch on the host. For unkeyed items `ids` and `weights` stay empty and every item weighs 1.
/// May be short, or empty with weight 0, at the end of an epoch: ranks then still agree on the number of batches.
template <class T>
struct batch_of {
    using value_type = T;

    std::vector<T> items{};
    std::vector<std::uint64_t> ids{};   ///< keyed<T>::id of each item
    std::uint64_t pass = 0;             ///< pass of the first item
    penstock::cover cover{};            ///< positions all items stand for
    std::vector<double> weights{};      ///< weight of each item
    std::string source{};               ///< branch of a fan-in it came through; empty elsewhere
    std::shared_ptr<void const> lease{};  ///< keeps pooled storage of the items from being reused

    std::size_t size() const { return items.size(); }
    bool empty() const { return items.empty(); }
    double weight() const { return weights.empty() ? static_cast<double>(items.size()) : std::accumulate(weights.begin(), weights.end(), 0.0); }
};

/// batch_of::ids of a copy that only fills a batch up.
inline constexpr std::uint64_t padding = ~std::uint64_t{0};

}  // namespace penstock
