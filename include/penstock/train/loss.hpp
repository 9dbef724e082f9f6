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

namespace detail {

/// What a backward can start from: one real number that depends on the parameters.
inline void check_loss(at::Tensor const& t, char const* what, char const* reduce) {
    if (!t.defined()) throw config_error(message("fit: ", what, " must be a 0-dim tensor, got an undefined one\n  HINT: return what the loss function of torch returned"));
    if (t.dim() != 0) throw config_error(message("fit: ", what, " must be a 0-dim tensor, got shape ", t.sizes(), "\n  HINT: ", reduce));
    if (!at::isFloatingType(t.scalar_type()))
        throw config_error(message("fit: ", what, " must be a floating-point number, got ", t.scalar_type(), "\n  HINT: of a complex value take at::abs or at::real; whole numbers (a count, an argmax) have no gradient"));
    if (!t.requires_grad())
        throw config_error(message("fit: ", what, " depends on no parameter that is trained: it has no gradient",
                                   "\n  HINT: compute it from model->forward(...), without detach(), argmax or a NoGradGuard in between; is every requires_grad off?"));
}

}  // namespace detail

/// Calls loss(model, batch). A loss that returns a 0-dim tensor is a mean over the batch and is multiplied by the batch's weight.
template <class Loss, class Model, class Batch>
at::Tensor summed(Loss& loss, Model& model, Batch const& batch) {
    using result = std::invoke_result_t<Loss&, Model&, Batch const&>;
    constexpr bool ok = std::same_as<result, loss_sum> || std::convertible_to<result, at::Tensor>;
    static_assert(ok, "fit: loss(model, batch) must return loss_sum{sum, weight} or a 0-dim tensor, the mean over the batch");
    if constexpr (std::same_as<result, loss_sum>) {
        auto l = loss(model, batch);
        detail::check_loss(l.sum, "the sum of a loss_sum", "add it up: .sum(), or Reduction::Sum");
        if (std::abs(l.weight - batch.weight()) > 1e-9 * batch.weight())
            throw config_error(message("fit: the loss says its sum weighs ", l.weight, ", the batch weighs ", batch.weight(),
                                       "\n  HINT: return loss_sum{sum, b.weight()}, and give the items their weights before batch()"));
        return std::move(l.sum);
    } else if constexpr (ok) {
        at::Tensor mean = loss(model, batch);
        detail::check_loss(mean, "what loss(model, batch) returns, the mean over the batch,", "reduce it by Mean, or return loss_sum{sum, b.weight()}");
        return mean * batch.weight();
    }
}

}  // namespace penstock::train
