// Implements: validate(pipeline, metrics), a part of fit: exact metrics over all ranks at the end of an epoch.
#pragma once

#include <penstock/core/epoch.hpp>           // defines: epoch
#include <penstock/core/errors.hpp>          // defines: config_error, message
#include <penstock/core/source.hpp>          // defines: resettable, facts_of
#include <penstock/dist/agreement.hpp>       // defines: dist::agree, dist::claims
#include <penstock/dist/context.hpp>         // defines: dist::context
#include <penstock/dist/data_parallel.hpp>   // defines: mean_buffers, buffers_for_now
#include <penstock/dist/packet.hpp>          // defines: dist::start
#include <penstock/train/fit_agreement.hpp>  // defines: data_claims, split_fault
#include <penstock/train/fit_options.hpp>    // defines: metric_values, data_split
#include <penstock/train/module.hpp>         // defines: as_module
#include <penstock/train/precision.hpp>      // defines: forward_scope
#include <penstock/train/settings.hpp>       // defines: settings
#include <penstock/train/signals.hpp>        // defines: stop_signals
#include <penstock/train/summary.hpp>        // defines: best

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::train {

/// A number that a metric adds up: a 0-dim tensor or a plain number.
class addend {
public:
    addend(at::Tensor t) : tensor_(std::move(t)) {}  // NOLINT: both are what users have at hand
    template <class N>
        requires std::is_arithmetic_v<N>
    addend(N n) : number_(static_cast<double>(n)) {}  // NOLINT

    double value(std::string const& name) const {
        if (!tensor_.defined()) return number_;
        if (tensor_.numel() != 1)
            throw config_error(message("validate: the sum of metric '", name, "' must be one number, got a tensor of shape ", tensor_.sizes(), "\n  HINT: add it up over the batch: .sum()"));
        if (tensor_.is_complex())
            throw config_error(message("validate: the sum of metric '", name, "' must be a real number, got ", tensor_.scalar_type(), "\n  HINT: take at::abs or at::real of it"));
        return tensor_.item<double>();
    }

private:
    at::Tensor tensor_{};
    double number_ = 0;
};

/// One metric of one batch: a sum over its samples and the weight it stands for; the loop adds both up and divides once.
///
///     train::metric{"accuracy", (out.argmax(1) == b.label).sum(), b.weight(), train::best::highest}
struct metric {
    std::string name;
    addend sum;
    double weight = 0;
    train::best best = train::best::unsaid;  ///< which of its values the summary calls the best; unsaid: none
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

/// What evaluate() measures, and by metric which value is its best one.
struct evaluation {
    metric_values values{};
    std::vector<best> directions{};
};

namespace detail {

/// The metrics' names, in their order, once every rank has been asked: a rank without samples does not know them.
inline std::vector<std::string> agree_on_names(dist::context& ctx, std::vector<std::string> const& names, bool known) {
    std::optional<dist::claims> mine;
    if (known) mine = dist::claims{{"number of metrics", std::to_string(names.size())}};
    for (std::size_t i = 0; i != names.size(); ++i) mine->emplace_back(message("metric ", i + 1), names[i]);
    auto const all = dist::agree(ctx, std::move(mine), "validate(data, metrics)", "metrics must give the same names in the same order on every rank");
    std::vector<std::string> out;
    for (std::size_t i = 1; all && i < all->size(); ++i) out.push_back((*all)[i].second);
    return out;
}

/// A name with its direction, as the ranks agree on it: those without samples know neither.
inline constexpr std::pair<best, std::string_view> said[] = {{best::highest, " (highest is best)"}, {best::lowest, " (lowest is best)"}};
inline std::string with_direction(metric const& m) {
    for (auto const& [direction, words] : said)
        if (m.best == direction) return m.name + std::string(words);
    return m.name;
}
inline best split_direction(std::string& name) {
    for (auto const& [direction, words] : said)
        if (name.ends_with(words)) return name.resize(name.size() - words.size()), direction;
    return best::unsaid;
}

template <class R>
concept metric_range = std::ranges::input_range<R> && std::convertible_to<std::ranges::range_reference_t<R>, metric const&>;

/// The sums and weights of one rank's batches, which all must give the same metrics.
class metric_sums {
public:
    void add(metric const& one) { add(std::span(&one, 1)); }
    void add(metric_range auto&& metrics) {
        std::size_t i = 0;
        for (metric const& m : metrics) {
            auto name = with_direction(m);
            if (!measured_) {
                names_.push_back(name);
                sums_.resize(sums_.size() + 2);
            }
            if (i == names_.size() || names_[i] != name)
                refuse(message("'", name, "' as number ", i + 1, " after a batch that gave ", i == names_.size() ? message("only ", i) : "'" + names_[i] + "'"));
            sums_[2 * i] += m.sum.value(m.name);
            sums_[2 * i + 1] += m.weight;
            ++i;
        }
        if (measured_ && i != names_.size()) refuse(message(i, " after a batch that gave ", names_.size()));
        measured_ = true;
    }
    evaluation over_all_ranks(dist::context& ctx) {
        auto names = agree_on_names(ctx, names_, measured_);
        sums_.resize(2 * names.size());
        auto total = at::tensor(sums_, at::kDouble);
        ctx.all_reduce(total);
        auto const* t = total.data_ptr<double>();
        evaluation out;
        for (std::size_t i = 0; i != names.size(); ++i) {
            out.directions.push_back(split_direction(names[i]));
            out.values.emplace_back(names[i], t[2 * i] / t[2 * i + 1]);  // NaN where nothing was measured
        }
        return out;
    }

private:
    [[noreturn]] static void refuse(std::string const& got) {
        throw config_error(message("validate(data, metrics): every batch must give the same metrics, got ", got, "\n  HINT: a metric that a batch cannot measure has weight 0"));
    }

    std::vector<std::string> names_{};
    std::vector<double> sums_{};  // sum, weight, sum, weight, ...
    bool measured_ = false;
};

}  // namespace detail

/// evaluate(), given up by all ranks between two batches once `asked()` is true on one of them: nullopt then.
template <class Data, class Model, class Metrics, class Asked>
std::optional<evaluation> evaluate_until(dist::context& ctx, Data& data, Model& model, Metrics& metrics, precision p, Asked asked) {
    using result = std::invoke_result_t<Metrics&, Model&, typename Data::item_type const&>;
    static_assert(detail::metric_range<result> || std::convertible_to<result, metric>, "validate: metrics(model, batch) must return train::metric{name, sum, weight}, or a range of them. HINT: train::metric{\"accuracy\", hits.sum(), b.weight()}");
    evaluation_scope scope(ctx, as_module(model));
    detail::metric_sums sums;
    auto const next = [&data] {
        auto batch = data.next();
        while (batch && batch->size() == 0) batch = data.next();
        return batch;
    };
    for (auto batch = next();; batch = batch ? next() : std::nullopt) {
        auto sent = dist::start(ctx, {.has_data = batch.has_value(), .want_stop = asked()});  // its answer travels while the batch is measured
        if (batch) {
            forward_scope forward(p, ctx.device().type());
            sums.add(metrics(model, *batch));
        }
        auto const all = sent.wait();
        if (all.want_stop != 0) return std::nullopt;
        if (all.has_data == 0) return sums.over_all_ranks(ctx);
    }
}

/// Sums up metrics(model, batch) over a pipeline and over all ranks: every sample counts once, by its weight, however the ranks share them.
template <class Data, class Model, class Metrics>
metric_values evaluate(dist::context& ctx, Data& data, Model& model, Metrics& metrics, precision p) {
    return evaluate_until(ctx, data, model, metrics, p, [] { return false; })->values;
}

/// The part that validate() makes.
template <class Data, class Metrics>
struct validation {
    Data data;
    Metrics metrics;
    std::uint64_t every = 1;
    data_split split = data_split::by_rank;
    std::vector<best> said{};

    bool due(std::uint64_t epochs_done) const { return epochs_done % every == 0; }
    std::vector<best> const& directions() const { return said; }
    std::string fault(world w) const { return split == data_split::by_rank ? split_fault("validate: the data", facts_of(data), w) : std::string(); }
    train::settings settings() const {
        train::settings out{{"kind", "validate"}, {".every", std::to_string(every)}, {".split", split == data_split::by_rank ? "data_split::by_rank" : "data_split::as_it_is"}};
        if (split == data_split::by_rank)
            for (auto& claim : data_claims(data)) out.push_back(std::move(claim));
        return out;
    }

    template <class Model>
    std::optional<metric_values> on_epoch(dist::context& ctx, Model& model, precision p, std::uint64_t seed, std::uint64_t epochs_done) {
        if (!due(epochs_done)) return metric_values{};
        data.reset(penstock::epoch::of(seed, epochs_done - 1));
        auto measured = evaluate_until(ctx, data, model, metrics, p, [] { return stop_signals::asked_to_stop() != 0; });
        if (!measured) return std::nullopt;
        said = std::move(measured->directions);
        return std::move(measured->values);
    }
};

struct validate_options {
    std::uint64_t every = 1;  ///< epochs between two validations
    data_split split = data_split::by_rank;  ///< whether data that is not split for the ranks of the run is refused
};

/// Validates at the end of every epoch. `metrics(model, batch)` returns metric{name, sum, weight, best::highest or best::lowest}, or a range of them;
/// `data` is this rank's part.
///
/// Order    after the last step of the epoch and its checkpoint, which is written again afterwards
/// Buffers  what `data` buffers
/// Resume   no state: it runs whole or not at all. A signal ends it between two batches; a run that ended inside it validates first when it is resumed
/// Threads  the loop's
/// Errors   forwards those of `data` and `metrics`; config_error for every < 1
///
///     fit(ctx, net, adamw(net), loss, {.epochs = 8}, validate(std::move(val), metrics))    // report.last("accuracy")
template <class Data, class Metrics>
auto validate(Data data, Metrics metrics, validate_options o = {}) {
    static_assert(resettable<Data>, "validate(data, metrics): data must be a pipeline that can be reset, since it runs again every epoch. HINT: read it from shards or from_vector");
    if (o.every < 1) throw config_error("validate(data, metrics, {.every}): every must be >= 1, got 0\n  HINT: leave validate out to never validate");
    return validation<Data, Metrics>{std::move(data), std::move(metrics), o.every, o.split, {}};
}

}  // namespace penstock::train
