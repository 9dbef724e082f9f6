// Implements: loss_sum, what a loss function returns, and how a plain mean becomes one.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <ATen/ATen.h>

#include <cmath>
#include <concepts>
#include <type_traits>
#include <utility>

namespace penstock::train {

/// The loss of a micro-batch as a sum over its samples (or tokens), and the weight that the sum stands for.
/// The loop divides by the global weight of the whole window, so nothing may be divided before.
struct loss_sum {
    at::Tensor sum;     ///< 0-dim, differentiable
    double weight = 0;  ///< must equal the batch's weight()
};

/// Calls loss(model, batch). A loss that returns a 0-dim tensor is a mean over the batch and is multiplied by the batch's weight.
template <class Loss, class Model, class Batch>
at::Tensor summed(Loss& loss, Model& model, Batch const& batch) {
    using result = std::invoke_result_t<Loss&, Model&, Batch const&>;
    constexpr bool ok = std::same_as<result, loss_sum> || std::convertible_to<result, at::Tensor>;
    static_assert(ok, "fit: loss(model, batch) must return loss_sum{sum, weight} or a 0-dim tensor, the mean over the batch");
    if constexpr (std::same_as<result, loss_sum>) {
        auto l = loss(model, batch);
        if (std::abs(l.weight - batch.weight()) > 1e-9 * batch.weight())
            throw config_error(message("fit: the loss says its sum weighs ", l.weight, ", the batch weighs ", batch.weight(),
                                       "\n  HINT: return loss_sum{sum, b.weight()}, and give the items their weights before batch()"));
        return std::move(l.sum);
    } else {
        at::Tensor mean = loss(model, batch);
        if (mean.dim() != 0)
            throw config_error(message("fit: loss(model, batch) must return a 0-dim tensor, the mean over the batch, got shape ", mean.sizes(),
                                       "\n  HINT: reduce it by Mean, or return loss_sum{sum, b.weight()}"));
        return mean * batch.weight();
    }
}

}  // namespace penstock::train
