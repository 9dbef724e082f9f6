// Implements: gradient clipping by norm or value without asking the device: the host never waits.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message
#include <penstock/train/named.hpp>  // defines: tensors

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace penstock::train {

namespace detail {

/// Foreach kernels want one device and one type per call; groups come in the order of their first tensor.
inline std::vector<tensors> by_kind(tensors const& all) {
    std::vector<tensors> groups;
    for (auto const& t : all) {
        if (!t.defined() || t.numel() == 0) continue;
        auto const same = [&t](tensors const& g) { return g.front().device() == t.device() && g.front().scalar_type() == t.scalar_type(); };
        auto const group = std::ranges::find_if(groups, same);
        if (group != groups.end()) group->push_back(t);
        else groups.push_back({t});
    }
    return groups;
}

inline double bound_of(char const* what, double bound) {
    if (!(bound > 0)) throw config_error(message(what, ": the bound must be > 0, got ", bound, "\n  HINT: 1.0 is usual; leave clipping out for no bound"));
    return bound;
}

}  // namespace detail

/// The 2-norm over all gradients, as a 0-dim tensor on the device of the first one: nothing is copied to the host.
/// Half types are summed in float. Undefined gradients count as zero; without any the norm is a zero on the host.
inline at::Tensor grad_norm(tensors const& grads) {
    at::NoGradGuard off;
    tensors norms;
    for (auto const& group : detail::by_kind(grads)) {
        auto const wide = at::toOpMathType(group.front().scalar_type());
        auto norm = at::stack(at::_foreach_norm(group, 2.0, wide)).norm(2.0);
        norms.push_back(norms.empty() ? norm : norm.to(norms.front().options(), /*non_blocking=*/true));
    }
    if (norms.empty()) return at::zeros({});
    return norms.size() == 1 ? norms.front() : at::stack(norms).norm(2.0);
}

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)) and returns the norm before that, on the device (the formula of torch.nn.utils).
///
/// Order    in place, all gradients by one factor
/// Buffers  one number per gradient
/// Resume   no state
/// Threads  none; enqueued on the current streams, no host synchronisation
/// Errors   config_error if max_norm <= 0; a norm that is not finite spreads into the gradients: see not_finite
///
///     auto norm = clip_norm(grads, 1.0);    // read it with norm.item() only when it is logged
inline at::Tensor clip_norm(tensors const& grads, double max_norm) {
    detail::bound_of("clip_norm(grads, max_norm)", max_norm);
    at::NoGradGuard off;
    auto total = grad_norm(grads);
    if (std::isinf(max_norm)) return total;
    auto const factor = at::clamp(max_norm / (total + 1e-6), std::nullopt, 1.0);
    if (factor.is_cpu() && factor.item<double>() == 1.0) return total;  // on the host looking is free and saves a pass over the gradients
    for (auto const& group : detail::by_kind(grads)) at::_foreach_mul_(group, factor.to(group.front().device(), /*non_blocking=*/true));
    return total;
}

/// Clamps every element of every gradient into [-bound, bound], in place.
inline void clip_value(tensors const& grads, double bound) {
    detail::bound_of("clip_value(grads, bound)", bound);
    at::NoGradGuard off;
    for (auto const& group : detail::by_kind(grads)) {
        at::_foreach_clamp_min_(group, -bound);
        at::_foreach_clamp_max_(group, bound);
    }
}

/// 1 where `norm` is inf or NaN, else 0, as the float tensor that optimizers take as `found_inf`: the step is skipped on the device.
inline at::Tensor not_finite(at::Tensor const& norm) {
    return at::isfinite(norm).logical_not().to(at::kFloat);
}

}  // namespace penstock::train
