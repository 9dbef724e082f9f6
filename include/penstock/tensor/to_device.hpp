// Implements: to_device(where), batches as tensors on the training device, made ahead of the loop.
#pragma once

#include <penstock/concurrency/prefetch.hpp>  // defines: prefetch_stage, executor
#include <penstock/core/stage.hpp>            // defines: stage, stage_over, config_error, message
#include <penstock/tensor/collate.hpp>        // defines: collator, collatable, collated
#include <penstock/tensor/device_batch.hpp>   // defines: device_batch

#include <c10/core/Device.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

struct to_device_options {
    std::int64_t ahead = 3;                                ///< most batches held ready
    std::vector<double> mean{};                            ///< per channel, full range = 1; with one of the two, pictures become floats [B, C, H, W]
    std::vector<double> std{};                             ///< per channel; without both, pictures stay bytes [B, H, W, C]
    tensor::layout layout = tensor::layout::nchw;          ///< how those floats are stored
    penstock::executor* executor = nullptr;                ///< whose threads work; must outlive the pipeline. None: the process's
};

/// The device itself, or what knows its device: a dist::context.
template <class W>
concept device_place = std::convertible_to<W const&, at::Device> || requires(W const& w) { { w.device() } -> std::convertible_to<at::Device>; };

/// batch_of<T> to device_batch on the thread that pulls; what to_device runs ahead.
template <source S>
class [[nodiscard]] collate_stage : public stage_over<S> {
    using value_type = typename S::item_type::value_type;

public:
    using stateless = void;
    using item_type = device_batch<tensor::collated<value_type>>;

    collate_stage(S input, tensor::look look) : stage_over<S>{std::move(input)}, make_(std::move(look)) {}

    std::optional<item_type> next() {
        auto b = this->up.next();
        if (!b) return std::nullopt;
        auto const from = std::chrono::steady_clock::now();
        auto fields = make_(*b);
        busy_ += std::chrono::steady_clock::now() - from;
        items_ += b->size();
        return item_type(std::move(fields), std::move(*b));
    }
    bool discard() { return penstock::discard(this->up); }
    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        auto& s = r.emplace_back();
        s.name = "collate";
        s.items = items_;
        s.bytes = make_.bytes();
        s.busy_ns = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(busy_).count());
    }

private:
    tensor::collator<value_type> make_;
    std::uint64_t items_ = 0;
    std::chrono::steady_clock::duration busy_{};
};

/// Batches become structs of tensors on the training device, ready before the loop asks.
///
/// An item `template <class Image, class Label> struct example { Image image; Label label; }` becomes example<at::Tensor, at::Tensor>, with
/// pictures as bytes [B, H, W, C] or normalised floats [B, C, H, W], numbers as [B], arrays as [B, N], tensors stacked; other types by a
/// function collate(batch_of<T> const&) in the item's namespace, or a column<M> for a member's type.
///
/// Order    unchanged
/// Buffers  at most `ahead` batches, in slabs that are allocated once and used again when the last tensor of a batch is gone
/// Resume   exact; batches that are ready and not delivered are neither saved nor counted
/// Threads  as prefetch: collating and normalising happen on a thread of the executor
/// Errors   stage_error (content) if items of a batch differ in shape; config_error for a device without its room; forwards upstream errors
///
///     from_vector(std::vector{1.5, 2.5, 3.5}) | batch(2) | to_device(at::kCPU)    // tensors `data` [2] and [1]
template <class W>
auto to_device(W const& where, to_device_options o = {}) {
    static_assert(device_place<W>, "to_device(where): where is neither a device nor has one. HINT: pass the context of dist::init, or at::kCPU");
    auto const device = [&]() -> at::Device {
        if constexpr (std::convertible_to<W const&, at::Device>) return where;
        else if constexpr (device_place<W>) return where.device();
        else return at::kCPU;
    }();
    if (!device.is_cpu())
        throw config_error(message("to_device(", device.str(), "): this program was built without the cuda room\n  HINT: train on the CPU (at::kCPU), or configure with -DPENSTOCK_CUDA=ON where the CUDA toolkit is"));
    if (o.ahead < 1 || o.ahead > 10'000) throw config_error(message("to_device(ahead): ahead must be 1 to 10000, got ", o.ahead, "\n  HINT: 2 to 4 batches hide uneven work"));
    if (!o.executor) (void)executor::default_threads();
    auto look = tensor::look{tensor::normalise("to_device", std::move(o.mean), std::move(o.std)), o.layout};
    return stage("to_device", [look = std::move(look), ahead = static_cast<std::size_t>(o.ahead), pool = o.executor]<class S>(S input) mutable {
        if constexpr (!is_batch<typename S::item_type>) {
            static_assert(is_batch<typename S::item_type>, "to_device works on batches, but single items come from the stage before it. HINT: put batch(n) before it");
            return broken_chain{};
        } else {
            constexpr bool ok = tensor::collatable<typename S::item_type::value_type>;
            static_assert(ok, "to_device cannot make tensors of this item type. HINT: template <class Image, class Label> struct example { Image image; Label label; } "
                              "with pictures, numbers, arrays or tensors as members (at most 8), or write collate(batch_of<T> const&) in the item's namespace");
            if constexpr (ok) return prefetch_stage<collate_stage<S>>(collate_stage<S>(std::move(input), std::move(look)), "to_device", ahead, pool);
            else return broken_chain{};
        }
    });
}

}  // namespace penstock
