// Implements: fit_log, what a run of fit shows and writes: progress, metrics files, the summary table.
#pragma once

#include <penstock/core/errors.hpp>         // defines: error, message
#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/train/csv_log.hpp>       // defines: csv_log
#include <penstock/train/fit_options.hpp>   // defines: fit_options, fit_report, metric_values
#include <penstock/train/fit_position.hpp>  // defines: fit_position
#include <penstock/train/pace.hpp>          // defines: pace
#include <penstock/train/progress.hpp>      // defines: progress, progress_view
#include <penstock/train/summary.hpp>       // defines: run_summary, summary_table, time_split, phase, tracked_metric

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::train {

/// Rank 0 prints and writes; the mean loss of an interval is a collective, at steps that follow from the step's number.
class fit_log {
public:
    fit_log(dist::context& ctx, fit_options const& o, time_split const& times) : ctx_(ctx), o_(o), times_(times) {
        if (shows()) bar_.emplace();
    }

    /// What a reader of the output wants to know first.
    void start(fit_position const& at, bool resumed, chosen_precision const& p, std::vector<std::string>& notes) {
        first_ = at;
        begun_ = progress::seconds();
        // A run that was killed between the rows of a step and its next checkpoint has rows that will be written again.
        if (resumed) kept_epochs_ = at.inside ? at.step - 1 : at.step;
        auto const kept_steps = !resumed ? std::nullopt : std::optional(at.inside && at.step % o_.log_every != 0 ? at.step - 1 : at.step);
        if (!o_.csv.empty() && ctx_.rank() == 0)
            steps_csv_ = std::make_unique<csv_log>(o_.csv, std::vector<std::string>{"epoch", "loss", "lr", "samples", "samples_per_s", "data_wait"}, kept_steps);
        note(message("training on ", ctx_.world_size(), ctx_.world_size() == 1 ? " rank, " : " ranks, ", ctx_.threads(), ctx_.threads() == 1 ? " thread each, " : " threads each, ",
                     name_of(p.precision), p.why.empty() ? "" : " (" + p.why + ")"));
        tell(notes);
    }
    void tell(std::vector<std::string>& notes) {
        for (auto const& n : notes) note(n);
        notes.clear();
    }

    /// Begins an epoch of `steps` steps, 0 when nobody knows.
    void epoch(std::uint64_t steps) { steps_ = steps; }

    /// Once per step. At log steps the ranks' losses are added up, shown and written.
    void step(fit_position& at, double lr) {
        auto const now = progress::seconds();
        pace_.see(at.step, at.samples, now);
        if (at.step % o_.log_every == 0) flush(at, lr);
        if (!bar_) return;
        if (std::isnan(loss_) && now - begun_ < 1) return;  // nothing to say yet
        bar_->update(view(at), now);
    }

    /// The mean loss since the last call, over all ranks. Errors: a loss that is inf or NaN ends the run on all ranks.
    void flush(fit_position& at, double lr) {
        if (!at.loss.defined()) return;
        auto sum = at.loss.to(at::kCPU, at::kDouble).reshape({1}).clone();
        ctx_.all_reduce(sum);
        loss_ = sum.item<double>() / at.weight;
        at.loss = at::Tensor();
        at.weight = 0;
        if (!std::isfinite(loss_)) refuse(at);
        if (steps_csv_)
            steps_csv_->row(at.step, {{"epoch", static_cast<double>(at.epoch + 1)}, {"loss", loss_}, {"lr", lr}, {"samples", static_cast<double>(at.samples)},
                                      {"samples_per_s", pace_.samples_per_s()}, {"data_wait", waiting()}});
    }

    /// Ends the run on all ranks when the loss since the last log line is inf or NaN on one. A collective.
    void check(fit_position const& at) {
        auto bad = at::full({1}, at.loss.defined() && !std::isfinite(at.loss.item<double>()) ? 1 : 0, at::kLong);
        ctx_.all_reduce(bad, c10d::ReduceOp::MAX);
        if (bad.item<std::int64_t>() != 0) refuse(at);
    }

    /// The metrics of an epoch that has ended, by part.
    void validated(fit_position const& at, std::vector<metric_values> const& by_part) {
        auto line = message("epoch ", at.epoch, "/", o_.epochs, "  loss ", number(loss_));
        epochs_csv_.resize(by_part.size());
        for (std::size_t i = 0; i != by_part.size(); ++i) {
            see(at, by_part[i], line);
            write(at, by_part[i], i);
        }
        note(line + message("  ", grouped(at.samples), " samples, ", duration(progress::seconds() - begun_)));
    }

    /// With every checkpoint: rows that lead to it are on the disk.
    void sync() {
        if (steps_csv_) steps_csv_->flush();
        for (auto const& file : epochs_csv_)
            if (file) file->flush();
    }

    void note(std::string_view line) {
        if (bar_) bar_->note(line);
    }
    double last_loss() const { return loss_; }

    void finish(fit_report const& r) {
        sync();
        if (!bar_) return;
        bar_->finish();
        auto table = summary_table({.epochs = r.epochs, .steps = r.steps - first_.step, .skipped_steps = r.skipped - (first_.step - first_.applied),
                                    .samples = r.samples - first_.samples, .seconds = r.seconds, .data_s = r.data_s, .compute_s = r.compute_s, .comm_s = r.comm_s,
                                    .save_s = r.save_s, .validate_s = r.validate_s, .metrics = metrics_});
        table.pop_back();
        bar_->note(table);
    }

private:
    bool shows() const { return !o_.quiet && ctx_.rank() == 0; }

    [[noreturn]] static void refuse(fit_position const& at) {
        throw error(message("fit: the loss became inf or NaN at or shortly before step ", at.step, " (epoch ", at.epoch + 1, ")",
                            "\n  HINT: lower the learning rate or clip gradients (.clip_norm); .nonfinite = nonfinite::skip goes on without such steps"));
    }
    void see(fit_position const& at, metric_values const& values, std::string& line) {
        for (auto const& [name, value] : values) {
            line += "  " + name + " " + number(value);
            auto const known = [&](tracked_metric const& m) { return m.name == name; };
            auto m = std::ranges::find_if(metrics_, known);
            if (m == metrics_.end()) m = metrics_.insert(m, {.name = name, .higher_is_better = name.find("loss") == name.npos && name.find("error") == name.npos});
            m->see(value, at.step);
        }
    }
    /// Each part has a file of its own, since each has its own columns and its own rhythm.
    void write(fit_position const& at, metric_values const& values, std::size_t part) {
        if (o_.csv.empty() || ctx_.rank() != 0 || values.empty()) return;
        std::vector<std::string> columns{"epoch"};
        std::vector<std::pair<std::string_view, double>> row{{"epoch", static_cast<double>(at.epoch)}};
        for (auto const& [name, value] : values) {
            columns.push_back(name);
            row.emplace_back(name, value);
        }
        auto& file = epochs_csv_[part];
        if (!file) file = std::make_unique<csv_log>(message(o_.csv, ".epochs", part == 0 ? "" : message('-', part + 1), ".csv"), columns, kept_epochs_);
        file->row(at.step, row);
    }
    double waiting() const {
        auto const all = progress::seconds() - begun_;
        return all > 0 ? times_.seconds(phase::data) / all : 0;
    }
    progress_view view(fit_position const& at) const {
        auto const left = steps_ == 0 ? 0 : (steps_ - (std::min)(steps_, at.epoch_step)) + steps_ * (o_.epochs - (std::min)(o_.epochs, at.epoch + 1));
        return {.epoch = at.epoch + 1, .epochs = o_.epochs, .step = at.epoch_step, .steps = steps_, .loss = loss_, .samples_per_s = pace_.samples_per_s(),
                .seconds_left = steps_ == 0 ? std::numeric_limits<double>::quiet_NaN() : pace_.seconds_left(left), .waiting = waiting()};
    }

    dist::context& ctx_;
    fit_options const& o_;
    time_split const& times_;
    std::optional<progress> bar_;
    std::unique_ptr<csv_log> steps_csv_;
    std::vector<std::unique_ptr<csv_log>> epochs_csv_;  // by part
    std::optional<std::uint64_t> kept_epochs_;          // rows of a resumed run up to this step stay
    pace pace_;
    fit_position first_{};
    double begun_ = 0;
    double loss_ = std::numeric_limits<double>::quiet_NaN();
    std::uint64_t steps_ = 0;
    std::vector<tracked_metric> metrics_;
};

}  // namespace penstock::train
