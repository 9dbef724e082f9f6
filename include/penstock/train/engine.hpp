// Implements: engine, one optimizer step: forward and backward of a window, one reduction, clip, update. Usable without the loop.
#pragma once

#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/dist/data_parallel.hpp>  // defines: dist::data_parallel, dist::data_parallel_options
#include <penstock/train/clip.hpp>          // defines: clip_norm, grad_norm, not_finite
#include <penstock/train/loss.hpp>          // defines: summed
#include <penstock/train/module.hpp>        // defines: as_module
#include <penstock/train/optimizer.hpp>     // defines: optimizer
#include <penstock/train/precision.hpp>     // defines: forward_scope, precision

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <ranges>
#include <utility>

namespace penstock::train {

struct engine_options {
    train::precision precision = train::precision::fp32;  ///< already resolved for the device
    double clip_norm = 0;                                 ///< bound of the global gradient norm; 0 does not clip
    bool skip_nonfinite = false;                          ///< leave weights and optimizer as they are when the gradients hold inf or NaN
    dist::data_parallel_options parallel{};               ///< bucket size, unused parameters
};

/// Accumulates the gradients of a window of micro-batches, reduces them once over all ranks, and applies them.
///
/// The gradient is that of the one batch which holds the samples of all ranks and micro-batches: loss sums are divided by the window's
/// global weight N. LibTorch's Reducer divides by the world size, so every loss is scaled by world / N before its backward.
/// Built on all ranks together: it broadcasts parameters and buffers from rank 0 and fixes the bucket layout.
template <class Model, optimizer Optimizer>
class engine {
public:
    engine(dist::context& ctx, Model& model, Optimizer& opt, engine_options o = {})
        : ctx_(&ctx), model_(&model), optimizer_(&opt), options_(o), parallel_(ctx, as_module(model), o.parallel) {}

    /// Forward and backward of every micro-batch; returns this rank's sum of losses, on the device. All ranks must call it, with the
    /// same `global_weight` > 0; a rank whose samples weigh nothing only takes part in the reduction.
    template <class Loss, std::ranges::forward_range Batches>
    at::Tensor gradients(Loss& loss, Batches const& batches, double global_weight) {
        auto const filled = [](auto const& b) { return b.size() != 0 && b.weight() > 0; };
        auto left = std::ranges::count_if(batches, filled);
        auto const factor = static_cast<double>(ctx_->world_size()) / global_weight;
        if (left == 0) {
            parallel_.begin(true);
            auto const zero = parallel_.touch();
            parallel_.arm(true, zero);
            zero.backward();
        }
        auto total = at::Tensor{};
        for (auto const& batch : batches) {
            if (!filled(batch)) continue;
            bool const reduce = --left == 0;
            parallel_.begin(reduce);
            auto sum = [&] {
                forward_scope scope(options_.precision, ctx_->device().type());
                return summed(loss, *model_, batch);
            }();
            parallel_.arm(reduce, sum);
            (sum * factor).backward();
            auto const seen = sum.detach().to(at::kDouble);
            total = total.defined() ? total + seen : seen;
        }
        return total.defined() ? total : at::zeros({}, at::TensorOptions(ctx_->device()).dtype(at::kDouble));
    }

    /// Clips, updates with the optimizer's rate times `lr_factor`, zeroes the gradients. Returns the gradient norm where one was needed.
    at::Tensor apply(double lr_factor) {
        at::Tensor norm, found_inf;
        if (options_.clip_norm > 0) norm = clip_norm(optimizer_->gradients(), options_.clip_norm);
        else if (options_.skip_nonfinite) norm = grad_norm(optimizer_->gradients());
        if (options_.skip_nonfinite) found_inf = not_finite(norm);
        optimizer_->step(optimizer_->lr() * lr_factor, found_inf);
        optimizer_->zero_grad();
        return norm;
    }

    Model& model() { return *model_; }
    Optimizer& optimizer() { return *optimizer_; }

private:
    dist::context* ctx_;
    Model* model_;
    Optimizer* optimizer_;
    engine_options options_;
    dist::data_parallel parallel_;
};

}  // namespace penstock::train
