// Implements: the network of train_classifier: five convolutions, 75,450 parameters, for 28 x 28 grey pictures in ten classes.
#pragma once

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <cstdint>

/// float [B, 1, 28, 28] -> logits [B, 10]
inline torch::nn::Sequential fashion_network() {
    namespace nn = torch::nn;
    nn::Sequential net;
    auto const block = [&](std::int64_t in, std::int64_t out, bool pool) {
        net->push_back(nn::Conv2d(nn::Conv2dOptions(in, out, 3).padding(1).bias(false)));
        net->push_back(nn::BatchNorm2d(out));
        net->push_back(nn::ReLU(nn::ReLUOptions(true)));
        if (pool) net->push_back(nn::MaxPool2d(2));
    };
    block(1, 16, true);
    block(16, 32, false);
    block(32, 32, true);
    block(32, 64, false);
    block(64, 64, true);
    net->push_back(nn::Flatten());
    net->push_back(nn::Linear(64 * 9, 10));
    for (auto& p : net->parameters())
        if (p.dim() == 4) p.set_data(p.contiguous(at::MemoryFormat::ChannelsLast));  // a quarter less CPU time than the default layout
    return net;
}
