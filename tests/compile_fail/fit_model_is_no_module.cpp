// expect: fit: the model must be a torch::nn::Module, a holder of one or a shared_ptr to one. HINT: a torch::jit::Module is trained inside an nn::Module of yours that calls register_parameter for each of its parameters
// rooms: train
#include <penstock/train/fit.hpp>
#include <penstock/train/optimizer.hpp>

#include <torch/nn/modules/linear.h>

#include <vector>

namespace ps = penstock;

/// What a torch::jit::Module looks like to a template.
struct scripted {
    at::Tensor forward(at::Tensor const& x) { return x; }
    std::vector<at::Tensor> parameters() const { return {}; }
};
int main(int argc, char** argv) {
    auto ctx = ps::dist::init(argc, argv);
    torch::nn::Linear net(1, 1);
    auto loss = [](auto& model, auto const& b) { return model.forward(b.data).sum(); };
    (void)ps::train::fit(ctx, scripted{}, ps::train::sgd(net), loss, {.epochs = 1});
}
