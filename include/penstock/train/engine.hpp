// Implements: engine, one optimizer step: forward and backward of a window, one reduction, clip, update. Usable without the loop.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, message
#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/dist/data_parallel.hpp>  // defines: dist::data_parallel, dist::data_parallel_options
#include <penstock/train/clip.hpp>          // defines: clip_norm, grad_norm, not_finite
#include <penstock/train/gradient_watch.hpp>  // defines: gradient_watch
#include <penstock/train/loss.hpp>          // defines: summed
#include <penstock/train/module.hpp>        // defines: as_module
#include <penstock/train/named.hpp>         // defines: named_tensors, distinct, state_of
#include <penstock/train/optimizer.hpp>     // defines: optimizer
#include <penstock/train/precision.hpp>     // defines: forward_scope, precision
#include <penstock/train/rng.hpp>           // defines: part_generators

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ranges>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace penstock::train {

struct engine_options {
    train::precision precision = train::precision::fp32;  ///< already resolved for the device
    double clip_norm = 0;                                 ///< bound of the global gradient norm; 0 does not clip
    bool skip_nonfinite = false;                          ///< leave weights and optimizer as they are when the loss of a rank or the gradients hold inf or NaN
    dist::data_parallel_options parallel{};               ///< bucket size, unused parameters
};

namespace detail {

/// The parameters of a model as the engine needs them, checked against those of its optimizer. Gradients from before are dropped: they would go
/// into the first step.
struct training_set {
    named_tensors trained{}, frozen{};
    std::vector<std::string> in_no_optimizer{};

    training_set(torch::nn::Module const& model, named_tensors const& optimized) {
        std::unordered_set<void*> in_model, in_optimizer;
        named_tensors all;
        append(all, model.named_parameters());
        for (auto const& [name, p] : distinct(all)) {
            p.mutable_grad() = at::Tensor();
            in_model.insert(p.unsafeGetTensorImpl());
            (p.requires_grad() ? trained : frozen).emplace_back(name, p);
            if (p.requires_grad() && p.is_complex())
                throw config_error(message("fit: parameter '", name, "' is complex, ", p.scalar_type(), ": only real numbers are trained",
                                           "\n  HINT: register its two parts, [..., 2], and call at::view_as_complex in forward; or freeze it"));
        }
        std::vector<std::string> foreign;
        for (auto const& [name, p] : optimized) {
            in_optimizer.insert(p.unsafeGetTensorImpl());
            if (!in_model.contains(p.unsafeGetTensorImpl())) foreign.push_back(name);
        }
        if (!foreign.empty())
            throw config_error(message("fit: the optimizer holds ", listed(foreign), foreign.size() == 1 ? ", which is no parameter" : ", which are no parameters", " of the model",
                                       "\n  HINT: build it over the model that fit trains, and register_module what else the loss trains; a clone() has parameters of its own"));
        for (auto const& [name, p] : trained)
            if (!in_optimizer.contains(p.unsafeGetTensorImpl())) in_no_optimizer.push_back(name);
    }

    /// 'a', 'b' and 3 more
    static std::string listed(std::vector<std::string> const& names) {
        constexpr std::size_t most = 8;
        std::string out;
        for (std::size_t i = 0; i != (std::min)(names.size(), most); ++i) out += message(i == 0 ? "'" : ", '", names[i], '\'');
        return names.size() <= most ? out : out + message(" and ", names.size() - most, " more");
    }
};

}  // namespace detail

/// Accumulates the gradients of a window of micro-batches, reduces them once over all ranks, and applies them.
///
/// The gradient is that of the one batch which holds the samples of all ranks and micro-batches: loss sums are divided by the window's
/// global weight N. LibTorch's Reducer divides by the world size, so every loss is scaled by world / N before its backward.
/// Built on all ranks together: it broadcasts parameters and buffers from rank 0, fixes the bucket layout, and parts the ranks' random generators,
/// so that dropout masks differ between ranks while weights agree.
template <class Model, optimizer Optimizer>
class engine {
public:
    engine(dist::context& ctx, Model& model, Optimizer& opt, engine_options o = {})
        : ctx_(&ctx), model_(&model), optimizer_(&opt), options_(o), set_(as_module(model), opt.parameters()), parallel_(ctx, as_module(model), o.parallel) {
        if (ctx.world_size() > 1) watch_.emplace(parallel_.params());
        if (ctx.in_own_process()) part_generators(ctx.rank());
    }

    /// Trainable parameters that the optimizer does not hold: they keep their values.
    std::vector<std::string> const& in_no_optimizer() const { return set_.in_no_optimizer; }

    /// Forward and backward of every micro-batch; returns this rank's sum of losses, on the device. All ranks must call it, with the
    /// same `global_weight` > 0; a rank whose samples weigh nothing only takes part in the reduction.
    template <class Loss, std::ranges::forward_range Batches>
    at::Tensor gradients(Loss& loss, Batches const& batches, double global_weight) {
        refuse_thawed();
        auto const filled = [](auto const& b) { return b.size() != 0 && b.weight() > 0; };
        auto left = std::ranges::count_if(batches, filled);
        auto const factor = static_cast<double>(ctx_->world_size()) / global_weight;
        if (left == 0) {
            parallel_.begin(true);
            auto const zero = parallel_.touch();
            parallel_.arm(true, zero);
            zero.backward();
        }
        if (watch_) watch_->begin_window();
        loss_ = at::zeros({}, at::TensorOptions(ctx_->device()).dtype(at::kDouble));
        for (auto const& batch : batches) {
            if (!filled(batch)) continue;
            bool const reduce = --left == 0;
            parallel_.begin(reduce);
            auto sum = forward(loss, batch);
            parallel_.arm(reduce, sum);
            if (watch_) watch_->begin_backward();
            (sum * factor).backward();
            if (watch_ && reduce && !options_.parallel.find_unused) refuse_unused();
            loss_ = loss_ + sum.detach().to(at::kDouble);
        }
        return loss_;
    }

    /// Clips, updates with the optimizer's rate times `lr_factor`, clears the gradients. Returns the gradient norm where one was needed; it is NaN
    /// where the loss of a rank was not finite and such steps are skipped. A parameter that no rank used keeps its value and its moments.
    at::Tensor apply(double lr_factor) {
        auto const unused = without_gradients();
        at::Tensor norm, found_inf;
        if (options_.clip_norm > 0) norm = clip_norm(optimizer_->gradients(), options_.clip_norm);
        else if (options_.skip_nonfinite) norm = grad_norm(optimizer_->gradients());
        if (options_.skip_nonfinite) {
            norm = norm + (loss_of_all() * 0).to(norm.options());
            found_inf = not_finite(norm);
        }
        optimizer_->step(optimizer_->lr() * lr_factor, found_inf);
        for (auto const& [p, gradient] : unused) p.mutable_grad() = gradient;
        clear_gradients();
        return norm;
    }

    Model& model() { return *model_; }
    Optimizer& optimizer() { return *optimizer_; }

private:
    template <class Loss, class Batch>
    at::Tensor forward(Loss& loss, Batch const& batch) {
        forward_scope scope(options_.precision, ctx_->device().type());
        try {
            return summed(loss, *model_, batch);
        } catch (c10::Error const& e) {
            std::string const text = e.what_without_backtrace();
            if (text.find("more than 1 value per channel") == text.npos) throw;
            throw config_error(message("fit: the model normalises over its batch (BatchNorm), and this batch holds ", batch.size(), batch.size() == 1 ? " sample: " : " samples: ", text,
                                       "\n  HINT: choose a batch size that leaves no single sample at the end of an epoch or on a rank, or a norm that does not look at the batch (GroupNorm, LayerNorm)"));
        }
    }

    /// The Reducer has no place for a parameter that was frozen when it was built.
    void refuse_thawed() const {
        for (auto const& [name, p] : set_.frozen)
            if (p.requires_grad())
                throw config_error(message("fit: parameter '", name, "' was frozen when the training began, and requires a gradient now",
                                           "\n  HINT: thaw it before fit; to train it from a later epoch on, call fit again with an optimizer that holds it, and another .checkpoint"));
    }
    /// c10d says it in the next step only, and not at all after the last one, when the ranks' weights differ already.
    void refuse_unused() const {
        std::vector<std::string> names;
        for (auto const i : watch_->missed()) names.push_back(parallel_.parameters().names.at(i));
        if (names.empty()) return;
        throw config_error(message("fit: no gradient came to ", detail::training_set::listed(names), " in this step: the loss does not depend on ", names.size() == 1 ? "it" : "them",
                                   "\n  HINT: .find_unused = true if parts of the model may stay unused in a step; else freeze or remove what forward() does not use"));
    }
    /// Takes the gradients of parameters that no rank used in this window away, so that the optimizer leaves those alone. In a world of 1 they have none.
    std::vector<std::pair<at::Tensor, at::Tensor>> without_gradients() {
        std::vector<std::pair<at::Tensor, at::Tensor>> taken;
        if (!watch_ || !options_.parallel.find_unused) return taken;
        ctx_->all_reduce(watch_->window(), c10d::ReduceOp::MAX);
        for (auto const i : gradient_watch::zeros_of(watch_->window())) {
            auto const& p = parallel_.params()[i];
            taken.emplace_back(p, std::exchange(p.mutable_grad(), at::Tensor()));
        }
        return taken;
    }
    /// The loss of this window; not finite on all ranks if it is on one.
    at::Tensor loss_of_all() {
        if (ctx_->world_size() == 1) return loss_;
        auto bad = at::full({}, at::isfinite(loss_).item<bool>() ? 0 : 1, at::kByte);
        ctx_->all_reduce(bad, c10d::ReduceOp::MAX);
        return bad.item<std::uint8_t>() == 0 ? at::zeros({}, at::kDouble) : at::full({}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
    }
    /// In place where they are views into the buckets that are reduced; else they go, and what the next window does not use has none.
    void clear_gradients() {
        at::NoGradGuard off;
        if (ctx_->world_size() == 1) {
            for (auto const& [name, p] : set_.trained) p.mutable_grad() = at::Tensor();
            return;
        }
        tensors all;
        for (auto const& p : parallel_.params()) all.push_back(p.grad());
        for (auto const& group : detail::by_kind(all)) at::_foreach_zero_(group);
    }

    dist::context* ctx_;
    Model* model_;
    Optimizer* optimizer_;
    engine_options options_;
    detail::training_set set_;  // before parallel_: that gives gradients their places
    dist::data_parallel parallel_;
    std::optional<gradient_watch> watch_;  // in worlds of several ranks
    at::Tensor loss_;
};

}  // namespace penstock::train
