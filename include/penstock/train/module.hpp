// Implements: as_module, the torch::nn::Module behind whatever the user calls a model.
#pragma once

#include <torch/nn/module.h>

#include <concepts>

namespace penstock::train {

/// A model is a torch::nn::Module, a holder made by TORCH_MODULE, or a shared_ptr to a module.
template <class M>
torch::nn::Module& as_module(M& model) {
    if constexpr (std::derived_from<M, torch::nn::Module>) return model;
    else return *model;
}

}  // namespace penstock::train
