// Implements: fit(...), the end of a chain that trains.
#pragma once

#include <penstock/core/batch_type.hpp>    // defines: batch_of
#include <penstock/core/errors.hpp>        // defines: config_error, message
#include <penstock/core/fields.hpp>        // defines: fields
#include <penstock/core/stage.hpp>         // defines: terminal, resettable, resumable
#include <penstock/dist/context.hpp>       // defines: dist::context
#include <penstock/tensor/collate.hpp>     // defines: tensor::detail::parts
#include <penstock/train/fit_options.hpp>  // defines: fit_options, fit_report, step_info, metric_values
#include <penstock/train/fit_run.hpp>      // defines: fit_run
#include <penstock/train/optimizer.hpp>    // defines: optimizer

#include <torch/nn/module.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>

namespace penstock::train {

namespace detail {

/// A part does something: a member of the right name with another signature would silently never be called.
template <class P, class Model, class Batch>
concept fit_part = requires(P& p, step_info<Batch> const& info) { p.on_step(info); } || requires(P& p, step_info<Batch> const& info) { p.propose(info); } ||
                   requires(P& p) { { p.wants_to_stop() } -> std::same_as<bool>; } || requires(P& p, metrics_row const& row) { p.on_metrics(row); } ||
                   requires(P& p, dist::context& ctx, Model& model) { { p.on_epoch(ctx, model, precision{}, std::uint64_t{}, std::uint64_t{}) } -> std::convertible_to<std::optional<metric_values>>; };

/// Batches that to_device was to make tensors of: of the samples of shards, or of structs over their members' types. The loss would not find b.image.
template <class B>
inline constexpr bool still_on_host = false;
template <class T>
inline constexpr bool still_on_host<batch_of<T>> = std::same_as<T, fields> || tensor::detail::parts<T>::count != 0;

template <class M>
concept trainable_model = std::derived_from<M, torch::nn::Module> || requires(M& m) { { *m } -> std::convertible_to<torch::nn::Module&>; };

inline void check_options(fit_options const& o) {
    if (o.epochs < 1) throw config_error("fit: .epochs must be >= 1, got 0\n  HINT: one pass over the data is one epoch");
    if (o.accumulate < 1) throw config_error(message("fit: .accumulate must be >= 1, got ", o.accumulate, "\n  HINT: 1 steps after every batch"));
    if (o.log_every < 1) throw config_error("fit: .log_every must be >= 1, got 0\n  HINT: set .quiet to print nothing");
    if (!(o.clip_norm >= 0)) throw config_error(message("fit: .clip_norm must be >= 0, got ", o.clip_norm, "\n  HINT: 0 does not clip"));
    if (o.bucket_bytes < 1) throw config_error("fit: .bucket_bytes must be >= 1, got 0\n  HINT: the default is 25 MiB");
    if (o.checkpoint.empty() && (o.save_every != 0 || o.resume == resume::required || o.resume == resume::ledger))
        throw config_error("fit: .save_every and .resume need a folder, got .checkpoint \"\"\n  HINT: .checkpoint = \"run/\"");
}

}  // namespace detail

/// Trains `model` on a pipeline of batches: the end of a chain.
///
/// `loss(model, batch)` returns loss_sum{sum, weight}, or a mean over the batch. The gradient of a step is that of one batch holding the samples
/// of all ranks and micro-batches. `parts` are validate(...), feedback(control, f), and any object with `on_step(step_info<Batch> const&)`, after every update;
/// `on_epoch(context&, Model&, precision, seed, epochs done) -> metric_values`, after every epoch, when its checkpoint is written (std::nullopt, on all ranks or on
/// none: a signal cut it short, and the resumed run calls it again); `on_metrics(metrics_row const&)`, on rank 0, with the figures of every log line and of every part's on_epoch; or
/// `wants_to_stop() -> bool`, which ends the run a step later, with a checkpoint, once it is true on one rank.
///
/// Order    batches in the order of the pipeline; ranks agree once per step on its weight, on the end of the epoch, on stopping and saving
/// Buffers  two windows of `accumulate` batches: the one that is trained and the next
/// Resume   exact for a pipeline that can be saved, in the same world: weights, optimizer, generators, position. In another world every sample that
///          was not used comes once, over shards; generators start anew. A pipeline that cannot be saved refuses .checkpoint
/// Threads  the caller's; the ranks' own pool is LibTorch's
/// Errors   config_error for impossible options; state_error for a checkpoint of another run; forwards those of pipeline, loss and parts;
///          dist::peer_error when another rank failed
///
///     auto report = std::move(batches) | fit(ctx, net, adamw(net, {.lr = 1e-3}), loss, {.epochs = 8, .checkpoint = "run"});    // report.steps
template <class Model, class Optimizer, class Loss, class... Parts>
auto fit(dist::context& ctx, Model model, Optimizer opt, Loss loss, fit_options o, Parts... parts) {
    static_assert(detail::trainable_model<Model>, "fit: the model must be a torch::nn::Module, a holder of one or a shared_ptr to one. "
                                                  "HINT: a torch::jit::Module is trained inside an nn::Module of yours that calls register_parameter for each of its parameters");
    static_assert(optimizer<Optimizer>, "fit: the third argument must be an optimizer. HINT: train::adamw(net, {.lr = 1e-3})");
    detail::check_options(o);
    return terminal([&ctx, model = std::move(model), opt = std::move(opt), loss = std::move(loss), o = std::move(o),
                     parts = std::make_tuple(std::move(parts)...)]<class Data>(Data data) mutable {
        using batch_type = typename Data::item_type;
        constexpr bool batches = requires(batch_type const& b) {
            b.weight();
            b.size();
        };
        static_assert(batches, "fit: the pipeline must yield batches with weight() and size(). HINT: end it with batch(n) | to_device(ctx)");
        constexpr bool on_host = detail::still_on_host<batch_type>;
        static_assert(!on_host, "fit: these batches hold items on the host, not tensors. HINT: put to_device(ctx) after batch(n)");
        if constexpr (!batches || on_host || !detail::trainable_model<Model> || !optimizer<Optimizer>) return fit_report{};
        else {
            static_assert((detail::fit_part<Parts, Model, batch_type> && ...),
                          "fit: a part must have on_step(step_info<Batch> const&), on_epoch(dist::context&, Model&, precision, seed, epochs_done) -> metric_values, on_metrics(metrics_row const&), or wants_to_stop() -> bool");
            if (!resettable<Data> && o.epochs > 1)
                throw config_error(message("fit: .epochs = ", o.epochs, " needs a pipeline that can be reset; the source of this one cannot\n  HINT: give the source reset(epoch), or train one epoch"));
            if (!resumable<Data> && !o.checkpoint.empty())
                throw config_error("fit: .checkpoint needs a pipeline that can be saved; a stage of this one cannot\n  HINT: give the stage save and load, or leave .checkpoint out");
            return fit_run<Data, Model, Optimizer, Loss, decltype(parts)>(ctx, data, model, opt, loss, parts, o)();
        }
    });
}

}  // namespace penstock::train
