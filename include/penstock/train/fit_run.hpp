// Implements: fit_run, the training loop behind fit(): epochs of windows over a pipeline, in agreement over all ranks.
#pragma once

#include <penstock/core/epoch.hpp>             // defines: epoch
#include <penstock/core/errors.hpp>            // defines: config_error, message
#include <penstock/core/source.hpp>            // defines: resettable, resumable, facts_of
#include <penstock/dist/packet.hpp>            // defines: dist::start, dist::packet_sum
#include <penstock/train/engine.hpp>           // defines: engine, engine_options
#include <penstock/train/feedback.hpp>         // defines: feedback_parts
#include <penstock/train/fit_agreement.hpp>    // defines: run_claims, agree_on_run, agree_on_weights, split_fault, refuse_together, steps_of, told_state
#include <penstock/train/fit_checkpoints.hpp>  // defines: fit_saver
#include <penstock/train/fit_log.hpp>          // defines: fit_log, part_metrics, left_out_counts
#include <penstock/train/fit_options.hpp>      // defines: fit_options, fit_report, step_info
#include <penstock/train/fit_parts.hpp>        // defines: fit_parts, left_out_of
#include <penstock/train/fit_position.hpp>     // defines: fit_position
#include <penstock/train/module.hpp>           // defines: as_module, begin_training
#include <penstock/train/restore.hpp>          // defines: restore
#include <penstock/train/signals.hpp>          // defines: stop_signals
#include <penstock/train/summary.hpp>          // defines: time_split, phase
#include <penstock/train/window.hpp>           // defines: window, window_reader

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::train {

/// One run of the loop. The order of a step k:
///
///     packet(k) arrives            the window's global weight; has anybody data, must we stop or save?
///     window k+1 is pulled, packet(k+1) sent                       its answer travels while step k computes
///     forward and backward of window k, one reduction, clip, update
///     log, checkpoint              at steps that follow from the step's number, so that no rank has to ask
///
/// A value that feedback proposed after step k goes with packet(k+2) and is set before window k+3 is pulled, or at the epoch's edge.
/// A checkpoint holds the position after window k, which was taken when that window was pulled: what is pulled ahead is not counted.
/// An epoch's edge is a barrier: everything is trained before the pipeline is reset.
template <class Data, class Model, class Optimizer, class Loss, class Parts>
class fit_run {
    using batch_type = typename Data::item_type;
    using engine_type = engine<Model, Optimizer>;
    using asked = fit_parts<Parts, Model>;

public:
    fit_run(dist::context& ctx, Data& data, Model& model, Optimizer& opt, Loss& loss, Parts& parts, fit_options const& o)
        : ctx_(ctx), data_(data), model_(model), optimizer_(opt), loss_(loss), parts_(parts), o_(o), precision_(resolve(o.precision, ctx.device())),
          asked_(parts), feedback_(asked_),
          saver_(ctx, o, as_module(model), {[&opt] { return opt.state(); }, [&opt](named_tensors const& saved) { opt.load(saved); }}, told_state(data)), log_(ctx, o, times_) {
        if (ctx.in_own_process()) signals_.emplace();
        asked_.listen(log_);
    }

    fit_report operator()() {
        auto const begun = progress::seconds();
        apply(precision_.precision);
        auto const resting = begin_training(as_module(model_));
        check_split();
        agree_on_run(ctx_, run_claims(o_, precision_.precision, data_, as_module(model_), optimizer_, parts_));
        bool const resumed = resumed_ = saver_.load(at_, notes_);  // before the engine: it broadcasts what rank 0 loaded and ties itself to the parameters
        engine_type step(ctx_, model_, optimizer_, engine_options_of());
        agree_on_weights();
        saver_.restore_rank();                           // after it: the broadcast gave every rank the buffers of rank 0
        if (auto const& idle = step.in_no_optimizer(); !idle.empty())
            log_.warn(message("no optimizer holds ", detail::training_set::listed(idle), ": ", idle.size() == 1 ? "it keeps its value" : "they keep their values", "; freeze what is not to be trained"));
        if (!resting.empty())
            log_.warn(message(detail::training_set::listed(resting), resting.size() == 1 ? " stays" : " stay", " in evaluation mode, as given; model->train() before fit is for the whole model"));
        if (resumed && at_.epoch >= o_.epochs && !at_.parts_due) notes_.push_back(message("nothing is left to train: ", at_.epoch, " epochs are done; raise .epochs to go on"));
        log_.start(at_, resumed, precision_, asked_.measuring(), notes_);
        if (!resumed) save();  // the folder is tried before the first step
        if (at_.parts_due) run_parts();  // the run before this one was killed while it validated
        while (at_.epoch < o_.epochs && !report_.stopped) {
            run_epoch(step);
            if (!report_.stopped) end_epoch();
        }
        if (report_.signal != 0) ctx_.stopped_by(report_.signal);
        report_.epochs = at_.epoch;
        report_.steps = at_.step;
        report_.skipped = at_.skipped;
        report_.weightless = at_.weightless();
        report_.samples = at_.samples;
        report_.seconds = progress::seconds() - begun;
        report_.data_s = times_.seconds(phase::data);
        report_.compute_s = times_.seconds(phase::compute);
        report_.comm_s = times_.seconds(phase::comm);
        report_.save_s = times_.seconds(phase::save);
        report_.validate_s = times_.seconds(phase::validate);
        if (report_.stopped)
            log_.note(message("stopped ", at_.parts_due ? message("while it validated after epoch ", at_.epoch) : message("after step ", at_.step),
                              saver_.on() ? message("; the checkpoint is saved in '", o_.checkpoint, "', .resume goes on from there") : std::string()));
        if (!saver_.on()) log_.check(at_, parameters_of(as_module(model_)));
        log_.finish(at_, left_out(), report_);
        return report_;
    }

private:
    engine_options engine_options_of() const {
        return {.precision = precision_.precision,
                .clip_norm = o_.clip_norm,
                .skip_nonfinite = o_.nonfinite == nonfinite::skip,
                .parallel = {.bucket_cap_bytes = static_cast<std::int64_t>(o_.bucket_bytes),
                             .first_bucket_bytes = static_cast<std::int64_t>((std::min)(o_.bucket_bytes, std::size_t{1} << 20)),
                             .find_unused = o_.find_unused}};
    }
    /// What every part says, and the data.
    void check_split() {
        auto const fault = o_.split == data_split::by_rank ? split_fault("fit: the data", facts_of(data_), ctx_.world()) : std::string();
        refuse_together(ctx_, fault.empty() ? asked_.fault(ctx_.world()) : fault);
    }
    void agree_on_weights() { train::agree_on_weights(ctx_, as_module(model_), o_.schedule, at_.step, at_.applied); }
    /// Puts the pipeline where the run is.
    void place() {
        ctx_.phase("waits for data");
        bool const resumed = std::exchange(resumed_, false);
        if (resumed) feedback_.begin(at_.feedback);
        if constexpr (resumable<Data>)
            if (resumed && at_.inside) {
                load();
                feedback_.go_on(data_, at_.feedback);
                if (at_.epoch_step != 0) return;
            }
        if constexpr (resettable<Data>) {
            if (at_.taken_over == 0) return data_.reset(epoch::of(o_.seed, at_.epoch));
            data_.reset(epoch::of(o_.seed, at_.epoch), at_.base);
            if constexpr (resumable<Data>) saver_.check_counts(data_.save());
        }
    }

    void load() {
        try {
            if constexpr (resettable<Data>)
                if (at_.taken_over != 0) return data_.load(*at_.inside, at_.base);
            data_.load(*at_.inside);
        } catch (state_error const& e) {
            throw state_error(message(e.what(), "; or go on from the samples that were used, .resume = resume::ledger"));
        }
    }

    void run_epoch(engine_type& step) {
        place();
        log_.epoch(steps_per_epoch());
        window_reader<Data> reader(data_, o_.accumulate, saver_.on());
        auto w = pull(reader);
        auto sent = send(w, true);
        while (true) {
            auto const all = agree(sent);
            if (all.control[0] != 0)
                throw config_error(message("fit: ", all.control[0], " of ", ctx_.world_size(), " ranks begin the epoch without a sample; there are ", all.samples, " samples for the ", ctx_.world_size(), " ranks",
                                           "\n  HINT: start fewer ranks, or give the shard list more samples"));
            if (all.has_data == 0 && at_.epoch_step == 0)
                throw config_error(message("fit: no rank has a sample in epoch ", at_.epoch + 1, "\n  HINT: is the data empty, or its source used up? A source must be reset for every epoch"));
            bool const edge = all.has_data == 0;
            bool const limit = !edge && o_.max_steps != 0 && at_.step >= o_.max_steps;  // the same on all ranks: no need to ask
            report_.stopped = all.want_stop != 0 || limit;
            if (all.want_stop != 0) report_.signal = agreed_signal();
            if (all.want_save != 0 || report_.stopped) save();
            if (report_.stopped) return;
            feedback_.adopt(data_, heard(all), at_.feedback);
            if (edge) return;
            auto next = pull(reader);
            sent = send(next, false);
            train(step, w, all);
            if (o_.save_every != 0 && at_.step % o_.save_every == 0) save();
            w = std::move(next);
        }
    }

    std::uint64_t steps_per_epoch() const {
        if (auto const most = facts_of(data_).world_max) return steps_of(o_, *most) + (at_.taken_over == 0 ? 0 : at_.taken_over - 1);
        return 0;
    }

    window<batch_type> pull(window_reader<Data>& reader) {
        auto timed = times_.time(phase::data);
        ctx_.phase("waits for data");
        return reader.next();
    }
    dist::packet_handle send(window<batch_type> const& w, bool first) {
        auto const signal = signals_ ? signals_->received() : 0;
        if (signal == SIGUSR1) signals_->clear(signal);
        auto const proposed = feedback_.next(at_.feedback);
        return dist::start(ctx_, {.weight = w.weight,
                                  .samples = static_cast<std::int64_t>(w.samples),
                                  .has_data = !w.empty(),
                                  .want_stop = stop_signals::asked_to_stop() != 0 || asked_.want_to_stop(),
                                  .want_save = signal == SIGUSR1,
                                  .control = {facts_of(data_).counted && first && at_.epoch_step == 0 && !w.empty() && w.samples == 0, static_cast<std::int64_t>(proposed.part),
                                              std::bit_cast<std::int64_t>(proposed.bits), 0}});
    }
    /// Not every rank need have got it.
    int agreed_signal() {
        auto number = at::full({1}, stop_signals::asked_to_stop(), at::kLong);
        ctx_.all_reduce(number, c10d::ReduceOp::MAX);
        return static_cast<int>(number.item<std::int64_t>());
    }
    dist::packet_sum agree(dist::packet_handle& sent) {
        auto timed = times_.time(phase::comm);
        ctx_.collective_phase("agrees on the next step");
        return sent.wait();
    }

    void train(engine_type& step, window<batch_type>& w, dist::packet_sum const& all) {
        auto const rate = o_.schedule(static_cast<double>(at_.applied));
        at::Tensor loss;
        if (all.weight > 0) {  // else nothing weighs anything on any rank: no step, no division
            auto timed = times_.time(phase::compute);
            ctx_.step(at_.step);
            ctx_.phase("computes");
            auto const before = o_.nonfinite == nonfinite::skip ? buffers_now() : named_tensors{};
            loss = step.gradients(loss_, w.batches, all.weight);
            auto const norm = step.apply(rate);
            ctx_.phase("finishes the step");
            if (o_.nonfinite == nonfinite::skip && !norm.isfinite().template item<bool>()) {
                restore(before, buffers_of(as_module(model_)), "buffers");  // running means saw the bad batch too
                ++at_.skipped;
            } else {
                ++at_.applied;
                at_.loss = at_.loss.defined() ? at_.loss + loss : loss;
                at_.weight += all.weight;
            }
        }
        ++at_.step;
        ++at_.epoch_step;
        at_.samples += static_cast<std::uint64_t>(all.samples);
        at_.inside = std::move(w.after);
        if (saver_.on())
            for (auto const& b : w.batches) commit(b);
        step_info<batch_type> const info{.step = at_.step, .epoch = at_.epoch, .batches = w.batches, .loss = loss, .weight = all.weight, .lr = optimizer_.lr() * rate};
        ctx_.phase("runs on_step");
        asked_.on_step(info);
        if (ctx_.rank() == 0) feedback_.ask(info, at_.feedback);
        lr_ = info.lr;
        if (log_.due(at_)) log_.flush(at_, lr_, left_out());
        log_.step(at_);
    }
    /// Of this rank's pipelines, of training and of validation, since they were built.
    left_out_counts left_out() const {
        auto const mine = left_out_of(data_), more = asked_.left_out();
        return {mine.samples + more.samples, mine.parts + more.parts};
    }
    void commit([[maybe_unused]] batch_type const& b) {
        if constexpr (requires { b.cover; }) at_.used.commit(b);
    }
    named_tensors buffers_now() {
        named_tensors copies;
        for (auto const& [name, b] : buffers_of(as_module(model_))) copies.emplace_back(name, b.clone());
        return copies;
    }

    /// The epoch is safe on the disk before any part runs: metrics are other people's code and other people's data.
    void end_epoch() {
        log_.flush(at_, lr_, left_out());
        if constexpr (asked::any_feedback) hear_proposals();
        ++at_.epoch;
        at_.epoch_step = 0;
        at_.inside.reset();
        if constexpr (resumable<Data>)
            if (saver_.on() && facts_of(data_).goes_on) at_.inside = data_.save();
        at_.used.clear();
        at_.base.clear();
        at_.taken_over = 0;
        at_.parts_due = asked_.due(at_.epoch);
        if (at_.parts_due) save();
        run_parts();
    }
    void run_parts() {
        std::optional<std::vector<part_metrics>> by_part;
        {
            auto timed = times_.time(phase::validate);
            ctx_.phase("validates");
            by_part = asked_.on_epoch(ctx_, model_, precision_.precision, o_.seed, at_.epoch);
        }
        if (report_.stopped = !by_part; report_.stopped) {  // all parts run again when the run is resumed
            report_.signal = agreed_signal();
            if (!std::exchange(at_.parts_due, true)) save();
            return;
        }
        if (!saver_.on()) agree_on_weights();
        at_.parts_due = false;
        log_.validated(at_, *by_part, left_out());
        at_.epoch_loss = at_.epoch_weight = 0;
        auto& all = report_.history.emplace_back();
        for (auto& part : *by_part) all.insert(all.end(), part.values.begin(), part.values.end());
        save();
    }

    void save() {
        if (!saver_.on()) return;
        auto timed = times_.time(phase::save);
        log_.check(at_, parameters_of(as_module(model_)));  // what a loss that is not finite has spoiled must not push out a good checkpoint
        agree_on_weights();
        log_.sync();
        feedback_.keep_values(at_.feedback);
        saver_.save(at_, notes_);
        log_.tell(notes_);
    }

    /// At an epoch's edge: what rank 0 has left to say is heard before the next epoch begins.
    void hear_proposals() {
        for (bool more = true; more;) {
            auto const next = feedback_.next(at_.feedback);
            auto sent = dist::start(ctx_, {.control = {0, static_cast<std::int64_t>(next.part), std::bit_cast<std::int64_t>(next.bits), static_cast<std::int64_t>(at_.feedback.waiting.size())}});
            auto const all = agree(sent);
            feedback_.adopt(data_, heard(all), at_.feedback);
            more = all.control[3] != 0;
        }
    }
    static proposal heard(dist::packet_sum const& all) { return {static_cast<std::uint64_t>(all.control[1]), std::bit_cast<std::uint64_t>(all.control[2])}; }

    dist::context& ctx_;
    Data& data_;
    Model& model_;
    Optimizer& optimizer_;
    Loss& loss_;
    Parts& parts_;
    fit_options const& o_;
    chosen_precision precision_;
    time_split times_;
    std::optional<stop_signals> signals_;
    fit_position at_{};
    fit_report report_{};
    double lr_ = 0;  // of the last step
    std::vector<std::string> notes_;
    asked asked_;
    feedback_parts<asked> feedback_;
    bool resumed_ = false;  // from a checkpoint, and the pipeline does not stand there yet
    fit_saver saver_;
    fit_log log_;
};

}  // namespace penstock::train
