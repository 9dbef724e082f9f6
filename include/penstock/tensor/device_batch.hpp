// Implements: device_batch<Fields>, what the training loop receives: the tensors of a batch, and beside them who its samples are.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch_of, cover

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// Whether a struct has a member of a name that batches have themselves: it would be hidden, or hide what the loop needs.
template <class F>
consteval bool hides_batch_member() {
    return requires(F f) { f.ids; } || requires(F f) { f.pass; } || requires(F f) { f.cover; } || requires(F f) { f.weights; } || requires(F f) { f.source; } ||
           requires(F f) { f.size; } || requires(F f) { f.size(); } || requires(F f) { f.empty; } || requires(F f) { f.empty(); } || requires(F f) { f.weight; } || requires(F f) { f.weight(); };
}

}  // namespace detail

/// The members of Fields (`b.image`, `b.label`), and identity and weight on the host. May be short, or empty with weight 0.
///
/// Its tensors borrow their memory. What is kept of them beyond the step (`b.image[0]` in a log) keeps the memory of its whole batch from being
/// used again, which costs memory and nothing else: clone() what you keep.
template <class Fields>
struct device_batch : Fields {
    static_assert(std::is_class_v<Fields>, "collate must return a struct of tensors");
    static_assert(!detail::hides_batch_member<Fields>(), "to_device: the item has a member named ids, pass, cover, weights, source, size, empty or weight, and so has every batch. HINT: give it another name, for example tokens for ids");
    using fields_type = Fields;

    std::vector<std::uint64_t> ids{};  ///< keyed<T>::id of each item; empty for items without one
    std::uint64_t pass = 0;            ///< pass of the first item
    penstock::cover cover{};           ///< positions all items stand for
    std::vector<double> weights{};     ///< weight of each item; empty: 1 each
    std::string source{};              ///< branch of a fan-in it came through; empty elsewhere

    /// The identity of `from`, whose items are not needed any more.
    template <class T>
    device_batch(Fields fields, batch_of<T>&& from)
        : Fields(std::move(fields)), ids(std::move(from.ids)), pass(from.pass), cover(std::move(from.cover)), weights(std::move(from.weights)),
          source(std::move(from.source)), size_(from.size()), weight_(batch_weight(weights, size_)) {}

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    double weight() const { return weight_; }

private:
    static double batch_weight(std::vector<double> const& weights, std::size_t items) {
        if (weights.empty()) return static_cast<double>(items);
        double sum = 0;
        for (auto w : weights) sum += w;
        return sum;
    }

    std::size_t size_;
    double weight_;
};

template <class T>
inline constexpr bool is_device_batch = false;
template <class F>
inline constexpr bool is_device_batch<device_batch<F>> = true;

}  // namespace penstock
