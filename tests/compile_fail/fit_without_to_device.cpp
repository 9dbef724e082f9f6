// expect: fit: these batches hold items on the host, not tensors. HINT: put to_device(ctx) after batch(n)
// rooms: train
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/train/fit.hpp>
#include <penstock/train/optimizer.hpp>

#include <torch/nn/modules/linear.h>

#include <array>
#include <cstdint>

namespace ps = penstock;

template <class Row, class Label>
struct example {
    Row row;
    Label label;
};
int main(int argc, char** argv) {
    auto ctx = ps::dist::init(argc, argv);
    torch::nn::Linear net(1, 1);
    auto loss = [](auto& model, auto const& b) { return model->forward(b.row).mean(); };
    (void)(ps::range(8) | ps::map([](std::int64_t i) { return example<std::array<float, 1>, std::int64_t>{{static_cast<float>(i)}, i}; }) | ps::batch(4) |
           ps::train::fit(ctx, net, ps::train::sgd(net), loss, {.epochs = 1}));
}
