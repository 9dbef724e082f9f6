// Implements: fit(...), the training loop: epochs of windows over a pipeline, in agreement over all ranks.
#pragma once

#include <penstock/core/stage.hpp>          // defines: terminal, is_pipeline, resettable, resumable
#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/dist/packet.hpp>         // defines: dist::start, packet_sum
#include <penstock/train/engine.hpp>        // defines: engine
#include <penstock/train/fit_options.hpp>   // defines: fit_options, fit_report, step_info
#include <penstock/train/fit_report_writer.hpp>  // defines: fit_log
#include <penstock/train/fit_checkpoints.hpp>    // defines: fit_saver, fit_position
#include <penstock/train/signals.hpp>       // defines: signal_watch
#include <penstock/train/validate.hpp>      // defines: validate
#include <penstock/train/window.hpp>        // defines: window, window_reader

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace penstock::train {

namespace detail {

/// Adds the time until the end of its scope to a sum of seconds.
class stopwatch {
public:
    explicit stopwatch(double& sum) : sum_(sum) {}
    stopwatch(stopwatch const&) = delete;
    ~stopwatch() { sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    double& sum_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace detail

/// One run of the loop. The order of a step:
///
///     packet(k) arrives            the window's global weight; has anybody data, must we stop or save?
///     pull window k+1, send packet(k+1)                        (its answer travels while step k computes)
///     forward and backward of window k, one reduction, clip, update
///     log, checkpoint              at steps that follow from the step's number, so that no rank has to ask
///
/// The position that a checkpoint holds is the one after window k, kept with the window: what was pulled ahead is not counted.
template <class Data, class Model, class Optimizer, class Loss, class Parts>
class fit_run {
    using batch_type = typename Data::item_type;

public:
    fit_run(dist::context& ctx, Data& data, Model& model, Optimizer& opt, Loss& loss, Parts& parts, fit_options const& o)
        : ctx_(ctx), data_(data), model_(model), optimizer_(opt), loss_(loss), parts_(parts), o_(o), precision_(resolve(o.precision, ctx.device())) {}

    fit_report operator()() {
        detail::stopwatch total(report_.seconds);
        apply(precision_.precision);
        fit_saver saver(ctx_, o_, as_module(model_), optimizer_.state(), [this](named_tensors const& saved) { optimizer_.load(saved); });
        auto const resumed = saver.load(at_);  // before the engine exists: the reducer ties itself to the parameters
        engine<Model, Optimizer> step(ctx_, model_, optimizer_, options());
        saver.restore_rank();                  // after it: the engine broadcast rank 0's buffers
        fit_log log(ctx_, o_, at_, precision_, resumed);
        signal_watch signals;

        while (at_.epoch < o_.epochs && !report_.stopped) {
            start_epoch();
            run_epoch(step, saver, log, signals);
            if (report_.stopped) break;
            end_epoch(saver, log);
        }
        finish(log);
        return report_;
    }

private:
    engine_options options() const {
        return {.precision = precision_.precision,
                .clip_norm = o_.clip_norm,
                .skip_nonfinite = o_.nonfinite == nonfinite::skip,
                .parallel = {.bucket_cap_bytes = static_cast<std::int64_t>(o_.bucket_bytes)}};
    }

    void start_epoch() {
        ctx_.phase("waits for data");
        if (at_.inside) {
            if constexpr (resumable<Data>) data_.load(*at_.inside);
        } else if constexpr (resettable<Data>) data_.reset(penstock::epoch::of(o_.seed, at_.epoch));
    }

    void run_epoch(engine<Model, Optimizer>& step, fit_saver& saver, fit_log& log, signal_watch& signals) {
        window_reader<Data> reader(data_, o_.accumulate, saver.on());
        auto w = pull(reader);
        auto sent = send(w, signals, at_.step);
        while (true) {
            auto const all = agree(sent);
            if (all.want_save != 0 || all.want_stop != 0) save(saver, log);
            report_.stopped = all.want_stop != 0;
            if (report_.stopped || all.has_data == 0) return;
            auto next = pull(reader);
            sent = send(next, signals, at_.step + 1);
            train(step, w, all, log);
            at_.inside = std::move(w.after);
            if (o_.save_every != 0 && at_.step % o_.save_every == 0) save(saver, log);
            w = std::move(next);
        }
    }

    window<batch_type> pull(window_reader<Data>& reader) {
        detail::stopwatch waiting(report_.wait_seconds);
        ctx_.phase("waits for data");
        return reader.next();
    }

    /// `step` is what the step counter will be when the answer is read.
    dist::packet_handle send(window<batch_type> const& w, signal_watch& signals, std::uint64_t step) {
        bool const last = o_.max_steps != 0 && step >= o_.max_steps;
        return dist::start(ctx_, {.weight = w.weight,
                                  .samples = static_cast<std::int64_t>(w.samples),
                                  .has_data = !w.empty(),
                                  .want_stop = last || signals.stop_requested(),
                                  .want_save = signals.take_save_request()});
    }
    dist::packet_sum agree(dist::packet_handle& sent) {
        detail::stopwatch agreeing(report_.agree_seconds);
        ctx_.collective_phase("agrees on the step");
        return sent.wait();
    }

    void train(engine<Model, Optimizer>& step, window<batch_type> const& w, dist::packet_sum const& all, fit_log& log) {
        auto const rate = o_.schedule(static_cast<double>(at_.applied));
        at::Tensor loss;
        if (all.weight > 0) {
            detail::stopwatch computing(report_.compute_seconds);
            ctx_.step(at_.step);
            ctx_.phase("computes");
            loss = step.gradients(loss_, w.batches, all.weight);
            auto const norm = step.apply(rate);
            log.add(loss, norm, all.weight);
            bool const skipped = o_.nonfinite == nonfinite::skip && !norm.isfinite().template item<bool>();
            ++(skipped ? at_.skipped : at_.applied);
        } else {
            ++at_.skipped;  // nothing weighs anything on any rank: no step, no division
        }
        ++at_.step;
        at_.samples += static_cast<std::uint64_t>(all.samples);
        step_info<batch_type> const info{.step = at_.step, .epoch = at_.epoch, .batches = w.batches, .loss = loss, .weight = all.weight, .lr = optimizer_.lr() * rate};
        each_part([&](auto& part) {
            if constexpr (requires { part.on_step(info); }) part.on_step(info);
        });
        log.step(at_, info.lr, report_);
    }

    void end_epoch(fit_saver& saver, fit_log& log) {
        log.flush(at_, report_);
        ++at_.epoch;
        at_.inside.reset();
        metric_values values;
        {
            detail::stopwatch validating(report_.validate_seconds);
            ctx_.phase("validates");
            each_part([&](auto& part) {
                if constexpr (requires { part.on_epoch(ctx_, model_, precision_.precision, o_.seed, at_.epoch); })
                    for (auto& v : part.on_epoch(ctx_, model_, precision_.precision, o_.seed, at_.epoch)) values.push_back(std::move(v));
            });
        }
        log.epoch(at_, values);
        report_.history.push_back(std::move(values));
        save(saver, log);
    }

    void save(fit_saver& saver, fit_log& log) {
        detail::stopwatch saving(report_.save_seconds);
        saver.save(at_, log);
    }

    void finish(fit_log& log) {
        report_.epochs = at_.epoch;
        report_.steps = at_.step;
        report_.skipped = at_.skipped;
        report_.samples = at_.samples;
        report_.loss = log.last_loss();
        log.summary(report_);
    }

    template <class F>
    void each_part(F&& f) {
        std::apply([&](auto&... part) { (f(part), ...); }, parts_);
    }

    dist::context& ctx_;
    Data& data_;
    Model& model_;
    Optimizer& optimizer_;
    Loss& loss_;
    Parts& parts_;
    fit_options const& o_;
    chosen_precision precision_;
    fit_position at_{};
    fit_report report_{};
};

namespace detail {

inline void check_options(fit_options const& o) {
    if (o.epochs < 1) throw config_error("fit: .epochs must be >= 1, got 0\n  HINT: one pass over the data is one epoch");
    if (o.accumulate < 1) throw config_error(message("fit: .accumulate must be >= 1, got ", o.accumulate, "\n  HINT: 1 steps after every batch"));
    if (o.log_every < 1) throw config_error("fit: .log_every must be >= 1, got 0\n  HINT: set .quiet to print nothing");
    if (!(o.clip_norm >= 0)) throw config_error(message("fit: .clip_norm must be >= 0, got ", o.clip_norm, "\n  HINT: 0 does not clip"));
    if (o.bucket_bytes < 1) throw config_error("fit: .bucket_bytes must be >= 1, got 0\n  HINT: the default is 25 MiB");
    if (o.checkpoint.empty() && (o.save_every != 0 || o.resume == resume::required))
        throw config_error("fit: .save_every and .resume need a folder, got .checkpoint \"\"\n  HINT: .checkpoint = \"run/\"");
}

}  // namespace detail

/// Trains `model` on a pipeline of batches: the end of a chain.
///
/// `loss(model, batch)` returns loss_sum{sum, weight}, or a mean over the batch. The gradient of a step is that of one batch holding the samples
/// of all ranks and micro-batches. `parts` are validate(...) and any object with `on_step(step_info)` or `on_epoch(...)`.
///
/// Order    batches in the order of the pipeline; ranks agree once per step on its weight, on the end of the epoch, on stopping and saving
/// Buffers  two windows of `accumulate` batches: the one that is trained and the next
/// Resume   exact for a pipeline that can be saved, in the same world: weights, optimizer, generators, position. Else .checkpoint is refused
/// Threads  the caller's; the ranks' own pool is LibTorch's
/// Errors   config_error for impossible options; state_error for a checkpoint of another run; forwards those of pipeline, loss and parts;
///          dist::peer_error when another rank failed
///
///     auto report = std::move(batches) | fit(ctx, net, adamw(net, {.lr = 1e-3}), loss, {.epochs = 8, .checkpoint = "run"});    // report.steps
template <class Model, class Optimizer, class Loss, class... Parts>
auto fit(dist::context& ctx, Model model, Optimizer opt, Loss loss, fit_options o, Parts... parts) {
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
        if constexpr (!batches) return fit_report{};
        else {
            if (!resumable<Data> && !o.checkpoint.empty())
                throw config_error("fit: .checkpoint needs a pipeline that can be saved; a stage of this one cannot\n  HINT: give the stage save and load, or leave .checkpoint out");
            return fit_run<Data, Model, Optimizer, Loss, decltype(parts)>(ctx, data, model, opt, loss, parts, o)();
        }
    });
}

}  // namespace penstock::train
