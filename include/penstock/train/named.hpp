// Implements: tensors by name, the currency between models, optimizers and files.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace penstock::train {

using tensors = std::vector<at::Tensor>;
using named_tensors = std::vector<std::pair<std::string, at::Tensor>>;

namespace detail {

/// `net` may be a module or a holder (`torch::nn::ModuleHolder`, `shared_ptr`); found by spelling, so torch/nn is not needed here.
template <class M> decltype(auto) module_of(M const& m) {
    if constexpr (requires { m.named_parameters(); }) return (m);
    else return (*m);
}
template <class D> void append(named_tensors& out, D const& dictionary) {
    for (auto const& item : dictionary)
        if (item.value().defined()) out.emplace_back(item.key(), item.value());
}

}  // namespace detail

/// Each tensor once, under its first name: a module that is registered twice lists its tensors twice.
inline named_tensors distinct(named_tensors const& all) {
    named_tensors out;
    std::unordered_set<void*> seen;
    for (auto const& [name, t] : all)
        if (t.defined() && seen.insert(t.unsafeGetTensorImpl()).second) out.emplace_back(name, t);
    return out;
}

/// The parameters of a module or holder that are to be trained, each once.
template <class M> named_tensors parameters_of(M const& net) {
    named_tensors all, out;
    detail::append(all, detail::module_of(net).named_parameters());
    for (auto& item : distinct(all))
        if (item.second.requires_grad()) out.push_back(std::move(item));
    return out;
}

/// The buffers of a module or holder (running means, counters), each once.
template <class M> named_tensors buffers_of(M const& net) {
    named_tensors all;
    detail::append(all, detail::module_of(net).named_buffers());
    return distinct(all);
}

/// What a checkpoint holds of a model: every parameter, frozen ones too, and every buffer, under every name.
template <class M> named_tensors state_of(M const& net) {
    named_tensors all;
    detail::append(all, detail::module_of(net).named_parameters());
    detail::append(all, detail::module_of(net).named_buffers());
    return all;
}

}  // namespace penstock::train
