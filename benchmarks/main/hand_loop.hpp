// Implements: the training loop one writes by hand over LibTorch, as lean as it goes; what fit() is measured against.
#pragma once

#include <torch/torch.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <vector>

/// `batches(i)` gives the i-th micro-batch (image, label, weight); `at_step(k)` is called after every step.
template <class Net, class Batches, class AtStep>
void hand_loop(Net& net, c10::intrusive_ptr<c10d::ProcessGroup> group, Batches batches, int steps, int accumulate, bool bf16, double lr, AtStep at_step) {
    int const world = group ? group->getSize() : 1;
    std::vector<at::Tensor> params = net->parameters(), m, v, counts;
    for (auto& p : params) {
        m.push_back(at::zeros_like(p));
        v.push_back(at::zeros_like(p));
        counts.push_back(at::zeros({}, at::kFloat));
    }
    std::shared_ptr<c10d::Reducer> reducer;
    std::shared_ptr<c10d::Logger> logger;
    if (world > 1) {
        auto sparse = std::vector<bool>(params.size(), false);
        auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(params, {std::numeric_limits<std::size_t>::max()}, sparse));
        std::reverse(buckets.begin(), buckets.end());
        reducer = std::make_shared<c10d::Reducer>(params, buckets, group, sparse, 25 << 20, false, true, std::unordered_map<std::size_t, std::string>{}, 1 << 20,
                                                  false, false, std::vector<std::int64_t>{});
        logger = std::make_shared<c10d::Logger>(reducer);
        reducer->set_logger(logger);
        logger->set_construction_data_and_log("hand", {}, -1, false, false, false);
    }
    net->train();
    for (int k = 0; k != steps; ++k) {
        double weight = 0;
        for (int a = 0; a != accumulate; ++a) weight += batches(k * accumulate + a).weight;
        std::vector<at::Tensor> n{at::full({}, weight, at::kDouble)};
        if (group) group->allreduce(n)->wait();
        auto const factor = world / n[0].item<double>();
        for (int a = 0; a != accumulate; ++a) {
            bool const last = a + 1 == accumulate;
            auto const& b = batches(k * accumulate + a);
            if (reducer) {
                if (last) {
                    logger->set_runtime_stats_and_log();
                    reducer->prepare_for_forward();
                }
                reducer->rebuild_buckets();
            }
            at::Tensor loss;
            {
                at::autocast::set_autocast_enabled(at::kCPU, bf16);
                auto out = net->forward(b.image);
                loss = at::cross_entropy_loss(out.to(at::kFloat), b.label, {}, at::Reduction::Sum);
                at::autocast::clear_cache();
                at::autocast::set_autocast_enabled(at::kCPU, false);
            }
            if (reducer && last) reducer->prepare_for_backward({});
            (loss * factor).backward();
        }
        torch::NoGradGuard off;
        std::vector<at::Tensor> grads;
        for (auto& p : params) grads.push_back(p.grad());
        at::_foreach_add_(counts, 1);
        auto const rate = lr * std::min(1.0, (k + 1) / 100.0) * 0.5 * (1 + std::cos(std::numbers::pi * k / steps));
        at::_fused_adamw_(params, grads, m, v, {}, counts, rate, 0.9, 0.999, 0.05, 1e-8, false, false);
        at::_foreach_zero_(grads);
        at_step(k);
    }
}
