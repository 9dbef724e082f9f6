// Implements: validate(pipeline, metrics), a part of fit: exact metrics over all ranks at the end of an epoch.
#pragma once

#include <penstock/core/epoch.hpp>           // defines: epoch
#include <penstock/core/errors.hpp>          // defines: config_error
#include <penstock/core/source.hpp>          // defines: resettable
#include <penstock/dist/context.hpp>         // defines: dist::context
#include <penstock/dist/data_parallel.hpp>   // defines: mean_buffers, buffers_for_now
#include <penstock/train/fit_options.hpp>    // defines: metric_values
#include <penstock/train/module.hpp>         // defines: as_module
#include <penstock/train/precision.hpp>      // defines: forward_scope

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock::train {

/// One metric of one batch: a sum over its samples and the weight it stands for; the loop adds both up and divides once.
struct metric {
    std::string name;
    at::Tensor sum;     ///< 0-dim
    double weight = 0;
};

/// Evaluation mode for a scope: modules in eval(), buffers averaged over the ranks, no gradients; afterwards all is as it was.
class [[nodiscard]] evaluation_scope {
public:
    evaluation_scope(dist::context& ctx, torch::nn::Module& model) : buffers_(model, dist::mean_buffers(ctx, model)), top_(model), top_training_(model.is_training()) {
        for (auto const& m : model.modules(/*include_self=*/false)) training_.emplace_back(m, m->is_training());
        model.eval();
    }
    evaluation_scope(evaluation_scope const&) = delete;
    ~evaluation_scope() {
        top_.train(top_training_);
        for (auto const& [m, on] : training_) m->train(on);  // children come after their parents, so each ends with its own flag
    }

private:
    at::NoGradGuard no_grad_;
    dist::buffers_for_now buffers_;
    torch::nn::Module& top_;
    bool top_training_;
    std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> training_;
};

namespace detail {

/// A rank without samples does not know the names of the metrics: it holds zeros, and the maximum of the bytes is the text of the others.
inline void agree_on_names(dist::context& ctx, std::vector<std::string>& names) {
    std::string text;
    for (auto const& n : names) text += n + '\n';
    auto size = at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong);
    ctx.all_reduce(size, c10d::ReduceOp::MAX);
    text.resize(static_cast<std::size_t>(size.item<std::int64_t>()), '\0');
    if (text.empty()) return;
    auto bytes = at::empty({size.item<std::int64_t>()}, at::kByte);
    std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
    ctx.all_reduce(bytes, c10d::ReduceOp::MAX);
    text.assign(static_cast<char const*>(bytes.const_data_ptr()), text.size());
    names.clear();
    for (std::size_t from = 0, end = 0; (end = text.find('\n', from)) != text.npos; from = end + 1) names.push_back(text.substr(from, end - from));
}

}  // namespace detail

/// Sums up metrics(model, batch) over a pipeline and over all ranks: every sample counts once, by its weight, however the ranks share them.
template <class Data, class Model, class Metrics>
metric_values evaluate(dist::context& ctx, Data& data, Model& model, Metrics& metrics, precision p) {
    evaluation_scope scope(ctx, as_module(model));
    std::vector<std::string> names;
    std::vector<double> sums;  // sum, weight, sum, weight, ...
    while (auto batch = data.next()) {
        if (batch->size() == 0) continue;
        forward_scope forward(p, ctx.device().type());
        std::size_t i = 0;
        for (auto const& m : metrics(model, *batch)) {
            if (i == names.size()) {
                names.push_back(m.name);
                sums.resize(sums.size() + 2);
            }
            sums[2 * i] += m.sum.template item<double>();
            sums[2 * i + 1] += m.weight;
            ++i;
        }
    }
    detail::agree_on_names(ctx, names);
    sums.resize(2 * names.size());
    auto total = at::tensor(sums, at::kDouble);
    ctx.all_reduce(total);
    auto const* t = total.template const_data_ptr<double>();
    metric_values out;
    for (std::size_t i = 0; i != names.size(); ++i) out.emplace_back(names[i], t[2 * i] / t[2 * i + 1]);  // NaN where nothing was measured
    return out;
}

/// The part that validate() makes.
template <class Data, class Metrics>
struct validation {
    Data data;
    Metrics metrics;
    std::uint64_t every = 1;

    template <class Model>
    metric_values on_epoch(dist::context& ctx, Model& model, precision p, std::uint64_t seed, std::uint64_t epochs_done) {
        if (epochs_done % every != 0) return {};
        data.reset(penstock::epoch::of(seed, epochs_done - 1));
        return evaluate(ctx, data, model, metrics, p);
    }
};

struct validate_options {
    std::uint64_t every = 1;  ///< epochs between two validations
};

/// Validates at the end of every epoch. `metrics(model, batch)` returns a range of metric{name, sum, weight}; `data` is this rank's part.
///
/// Order    after the last step of the epoch, before its checkpoint
/// Buffers  what `data` buffers
/// Resume   no state: it runs whole or not at all
/// Threads  the loop's
/// Errors   forwards those of `data` and `metrics`; config_error for every < 1
///
///     fit(ctx, net, adamw(net), loss, {.epochs = 8}, validate(std::move(val), metrics))    // report.last("accuracy")
template <class Data, class Metrics>
auto validate(Data data, Metrics metrics, validate_options o = {}) {
    static_assert(resettable<Data>, "validate(data, metrics): data must be a pipeline that can be reset, since it runs again every epoch. HINT: read it from shards or from_vector");
    if (o.every < 1) throw config_error("validate(data, metrics, {.every}): every must be >= 1, got 0\n  HINT: leave validate out to never validate");
    return validation<Data, Metrics>{std::move(data), std::move(metrics), o.every};
}

}  // namespace penstock::train
