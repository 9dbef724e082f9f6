// Implements: as_module, the torch::nn::Module behind whatever the user calls a model; begin_training, which puts it into training mode.
#pragma once

#include <torch/nn/module.h>

#include <concepts>
#include <string>
#include <vector>

namespace penstock::train {

/// A model is a torch::nn::Module, a holder made by TORCH_MODULE, or a shared_ptr to a module.
template <class M>
torch::nn::Module& as_module(M& model) {
    if constexpr (std::derived_from<M, torch::nn::Module>) return model;
    else return *model;
}

/// Puts a model that is in evaluation mode into training mode. In one that is training already, parts in evaluation mode were put there, as a frozen
/// backbone is whose running means must not move: they stay, and the outermost of them are named.
inline std::vector<std::string> begin_training(torch::nn::Module& model) {
    if (!model.is_training()) model.train();
    std::vector<std::string> resting;
    for (auto const& part : model.named_modules(/*name_prefix=*/{}, /*include_self=*/false))  // parents come before their children
        if (!part.value()->is_training() && (resting.empty() || !part.key().starts_with(resting.back() + '.'))) resting.push_back(part.key());
    return resting;
}

}  // namespace penstock::train
