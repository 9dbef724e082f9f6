// Implements: adamw and sgd over the fused kernels, keyed by parameter name, with a skip that the device decides.
#pragma once

#include <penstock/core/errors.hpp>    // defines: config_error, message
#include <penstock/train/clip.hpp>     // defines: detail::by_kind
#include <penstock/train/named.hpp>    // defines: named_tensors, parameters_of
#include <penstock/train/restore.hpp>  // defines: restore
#include <penstock/train/settings.hpp>  // defines: settings, exact_text

#include <ATen/ATen.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace penstock::train {

/// What the loop needs of an optimizer. `found_inf` is undefined, or a float on the device: 1 skips the step there, without asking the host.
/// A parameter without a gradient was not used: step() leaves its value and its state as they are. The loop itself clears gradients.
template <class O>
concept optimizer = requires(O& o, O const& c, double number, at::Tensor const& t, named_tensors const& saved) {
    o.step(number, t);
    o.step(t, t);  // a learning rate that lives on the device
    o.load(saved);
    { c.parameters() } -> std::same_as<named_tensors>;
    { c.state() } -> std::same_as<named_tensors>;
    { c.gradients() } -> std::same_as<tensors>;
    { c.lr() } -> std::convertible_to<double>;
};

namespace detail {

struct fused_group {  // parameters of one device, type and decay, in step with their state
    bool decays = true;
    std::vector<std::string> names{};
    tensors params{};
    std::vector<tensors> slots{};  // slots[s][i] belongs to params[i]
    at::Tensor count{};            // applied steps per parameter, one float tensor; `counts` are its elements
    tensors counts{};
};

struct fused_lists {  // what one call of a kernel gets
    tensors params{}, grads{}, counts{};
    std::vector<tensors> slots{};
};

inline bool same_layout(at::Tensor const& a, at::Tensor const& b) {
    for (std::int64_t d = 0; d < a.dim(); ++d)
        if (a.size(d) != 1 && a.stride(d) != b.stride(d)) return false;
    return true;
}

inline double in_range(char const* what, char const* option, double value, bool ok) {
    if (!ok) throw config_error(message(what, ": ", option, " is out of range, got ", value, "\n  HINT: lr, eps and weight_decay are >= 0, betas and momentum in [0, 1)"));
    return value;
}

}  // namespace detail

/// An optimizer over a fused kernel; `Rule` says which state a parameter has and calls the kernel. Made by adamw(...) and sgd(...).
template <class Rule>
class [[nodiscard]] fused_optimizer {
public:
    fused_optimizer(named_tensors const& params, Rule rule) : rule_(std::move(rule)) {
        std::unordered_set<std::string_view> names;
        for (auto const& [name, p] : params)
            if (!names.insert(name).second)
                throw config_error(message(Rule::name, ": names must be unique, got '", name, "' twice\n  HINT: prefix the names of each module"));
        for (auto const& [name, p] : distinct(params)) add(name, p);
        if (groups_.empty()) throw config_error(message(Rule::name, ": must have parameters to train, got none\n  HINT: is requires_grad set?"));
        for (auto& g : groups_) {
            g.count = at::zeros({static_cast<std::int64_t>(g.params.size())}, g.params.front().options().dtype(at::kFloat).requires_grad(false));
            for (std::int64_t i = 0; i < g.count.size(0); ++i) g.counts.push_back(g.count.select(0, i));
        }
    }

    void step(double lr, at::Tensor const& found_inf = {}) { apply(lr, found_inf); }
    void step(at::Tensor const& lr, at::Tensor const& found_inf = {}) { apply(lr, found_inf); }

    /// Zeroes gradients in place. Detaching or dropping them would cut them from the buckets of the reducer.
    void zero_grad() {
        at::NoGradGuard off;
        for (auto const& group : detail::by_kind(gradients())) at::_foreach_zero_(group);
    }

    /// What it trains, each tensor once, under the name it was given.
    [[nodiscard]] named_tensors parameters() const {
        named_tensors out;
        for (auto const& g : groups_)
            for (std::size_t i = 0; i < g.params.size(); ++i) out.emplace_back(g.names[i], g.params[i]);
        return out;
    }

    /// The gradients that exist, for clipping.
    [[nodiscard]] tensors gradients() const {
        tensors out;
        for (auto const& g : groups_)
            for (auto const& p : g.params)
                if (p.grad().defined()) out.push_back(p.grad());
        return out;
    }

    /// Live tensors `<parameter>.<slot>`; copy or write them before the next step.
    [[nodiscard]] named_tensors state() const {
        named_tensors out;
        for (auto const& g : groups_)
            for (std::size_t i = 0; i < g.params.size(); ++i) {
                for (std::size_t s = 0; s < g.slots.size(); ++s) out.emplace_back(message(g.names[i], '.', Rule::slots[s]), g.slots[s][i]);
                if (Rule::counts) out.emplace_back(g.names[i] + ".step", g.counts[i]);
            }
        return out;
    }
    void load(named_tensors const& saved) { restore(saved, state(), Rule::name); }

    [[nodiscard]] double lr() const { return rule_.options.lr; }
    [[nodiscard]] train::settings settings() const { return rule_.settings(); }

private:
    void add(std::string const& name, at::Tensor const& p) {
        if (!p.is_leaf() || p.layout() != at::kStrided || !p.is_non_overlapping_and_dense() || !at::isFloatingType(p.scalar_type()))
            throw config_error(message(Rule::name, ": parameter '", name, "' must be a dense floating-point leaf, got ", p.toString(), p.sizes(),
                                       "\n  HINT: pass what the module registered, not a slice or a copy of it"));
        bool const decays = rule_.options.decay_1d || p.dim() >= 2;
        auto const fits = [&](detail::fused_group const& g) {
            return g.decays == decays && g.params.front().device() == p.device() && g.params.front().scalar_type() == p.scalar_type();
        };
        auto group = std::ranges::find_if(groups_, fits);
        if (group == groups_.end()) {
            groups_.push_back({.decays = decays});
            group = groups_.end() - 1;
            group->slots.resize(rule_.slots_used());
        }
        group->names.push_back(name);
        group->params.push_back(p);
        for (auto& slot : group->slots) slot.push_back(at::zeros_like(p.detach(), at::MemoryFormat::Preserve));
    }

    /// A parameter without a gradient keeps its value, its state and its count. Kernels walk memory, so a gradient must be laid out like its parameter.
    static detail::fused_lists lists_of(detail::fused_group const& g) {
        detail::fused_lists out{.slots = std::vector<tensors>(g.slots.size())};
        for (std::size_t i = 0; i < g.params.size(); ++i) {
            auto grad = g.params[i].grad();
            if (!grad.defined()) continue;
            if (grad.layout() != at::kStrided)
                throw config_error(message(Rule::name, ": gradients must be dense, got a sparse one for '", g.names[i], "'\n  HINT: build the embedding with sparse(false)"));
            if (!detail::same_layout(grad, g.params[i])) grad = at::empty_like(g.params[i]).copy_(grad);
            out.params.push_back(g.params[i]);
            out.grads.push_back(std::move(grad));
            out.counts.push_back(g.counts[i]);
            for (std::size_t s = 0; s < g.slots.size(); ++s) out.slots[s].push_back(g.slots[s][i]);
        }
        return out;
    }

    template <class Rate> void apply(Rate const& lr, at::Tensor const& found_inf) {
        at::NoGradGuard off;
        for (auto& g : groups_) {
            auto lists = lists_of(g);
            if (lists.params.empty()) continue;
            auto const device = g.count.device();
            auto const skip = found_inf.defined() ? std::optional(found_inf.to(device, at::kFloat, /*non_blocking=*/true)) : std::nullopt;
            bool const whole = lists.params.size() == g.params.size();
            if (whole) g.count.add_(1);
            else for (auto& c : lists.counts) c.add_(1);
            if constexpr (std::same_as<Rate, double>) rule_.call(lists, lr, g.decays, skip);
            else rule_.call(lists, lr.is_cpu() ? lr : lr.to(device, /*non_blocking=*/true), g.decays, skip);
            if (!skip) continue;
            if (whole) g.count.sub_(*skip);  // a step that was skipped does not count
            else for (auto& c : lists.counts) c.sub_(*skip);
        }
    }

    Rule rule_;
    std::vector<detail::fused_group> groups_;
};

struct adamw_options {
    double lr = 1e-3;            ///< the rate that a schedule multiplies
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 1e-2;  ///< decoupled: p -= lr * weight_decay * p
    bool decay_1d = false;       ///< also decay biases and the parameters of norms (those with fewer than two dimensions)
};

struct sgd_options {
    double lr = 0.1;            ///< the rate that a schedule multiplies
    double momentum = 0.9;
    double weight_decay = 0.0;  ///< added to the gradient: g += weight_decay * p
    bool nesterov = false;
    bool decay_1d = false;      ///< as in adamw_options
};

namespace detail {

struct adamw_rule {
    static constexpr std::string_view name = "adamw", slots[] = {"exp_avg", "exp_avg_sq"};
    static constexpr bool counts = true;
    adamw_options options;
    [[nodiscard]] std::size_t slots_used() const { return 2; }
    [[nodiscard]] train::settings settings() const {
        auto const& o = options;
        return {{"kind", "adamw"}, {"beta1", exact_text(o.beta1)}, {"beta2", exact_text(o.beta2)}, {"eps", exact_text(o.eps)},
                {"weight_decay", exact_text(o.weight_decay)}, {"decay_1d", o.decay_1d ? "true" : "false"}};
    }
    void call(fused_lists& l, auto const& lr, bool decays, std::optional<at::Tensor> const& skip) const {
        auto const& o = options;
        at::_fused_adamw_(l.params, l.grads, l.slots[0], l.slots[1], {}, l.counts, lr, o.beta1, o.beta2, decays ? o.weight_decay : 0.0, o.eps,
                          /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/std::nullopt, skip);
    }
};

struct sgd_rule {
    static constexpr std::string_view name = "sgd", slots[] = {"momentum_buffer"};
    static constexpr bool counts = false;
    sgd_options options;
    [[nodiscard]] std::size_t slots_used() const { return options.momentum == 0 ? 0 : 1; }
    [[nodiscard]] train::settings settings() const {
        auto const& o = options;
        return {{"kind", "sgd"}, {"momentum", exact_text(o.momentum)}, {"weight_decay", exact_text(o.weight_decay)},
                {"nesterov", o.nesterov ? "true" : "false"}, {"decay_1d", o.decay_1d ? "true" : "false"}};
    }
    void call(fused_lists& l, auto const& lr, bool decays, std::optional<at::Tensor> const& skip) const {
        auto const& o = options;  // without dampening a zero buffer gives the first step of the definition, so is_first_step need not survive a resume
        at::_fused_sgd_(l.params, l.grads, l.slots.empty() ? tensors{} : l.slots[0], decays ? o.weight_decay : 0.0, o.momentum, lr,
                        /*dampening=*/0.0, o.nesterov, /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/std::nullopt, skip);
    }
};

template <class P> named_tensors trained(P const& params) {
    if constexpr (std::convertible_to<P const&, named_tensors const&>) return params;
    else return parameters_of(params);
}

}  // namespace detail

/// AdamW (Loshchilov and Hutter 2019) over a module, a holder or named parameters; each tensor is updated once, however many names it has.
///
/// Order    one fused kernel per device, type and decay group
/// Buffers  two tensors per parameter
/// Resume   exact: <name>.exp_avg, <name>.exp_avg_sq, <name>.step; a skipped step leaves all three
/// Threads  the caller's; kernels are enqueued on the current streams
/// Errors   config_error for options out of range, repeated names, views, integers, sparse gradients; state_error in load
///
///     auto opt = adamw(net, {.lr = 3e-4});    // then opt.step(opt.lr() * factor(t), found_inf)
template <class P> auto adamw(P const& params, adamw_options o = {}) {
    detail::in_range("adamw", "lr", o.lr, o.lr >= 0);
    detail::in_range("adamw", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1);
    detail::in_range("adamw", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1);
    detail::in_range("adamw", "eps", o.eps, o.eps >= 0);
    detail::in_range("adamw", "weight_decay", o.weight_decay, o.weight_decay >= 0);
    return fused_optimizer<detail::adamw_rule>(detail::trained(params), {o});
}

/// Stochastic gradient descent with momentum (no dampening) over a module, a holder or named parameters.
///
/// Order    one fused kernel per device, type and decay group
/// Buffers  one tensor per parameter, none without momentum
/// Resume   exact: <name>.momentum_buffer
/// Threads  the caller's; kernels are enqueued on the current streams
/// Errors   config_error for options out of range, repeated names, views, integers, sparse gradients; state_error in load
///
///     auto opt = sgd(net, {.lr = 0.1, .momentum = 0.9, .nesterov = true});
template <class P> auto sgd(P const& params, sgd_options o = {}) {
    detail::in_range("sgd", "lr", o.lr, o.lr >= 0);
    detail::in_range("sgd", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1);
    detail::in_range("sgd", "weight_decay", o.weight_decay, o.weight_decay >= 0);
    if (o.nesterov && o.momentum == 0) throw config_error("sgd: nesterov needs momentum > 0, got momentum 0\n  HINT: leave nesterov out");
    return fused_optimizer<detail::sgd_rule>(detail::trained(params), {o});
}

}  // namespace penstock::train
