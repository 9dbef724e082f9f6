// Implements: fit_log, what a run of fit shows and writes: progress, metrics files, the summary table.
#pragma once

#include <penstock/core/errors.hpp>         // defines: error, message
#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/train/csv_log.hpp>       // defines: csv_log
#include <penstock/train/fit_options.hpp>   // defines: fit_options, fit_report, metric_values
#include <penstock/train/fit_position.hpp>  // defines: fit_position
#include <penstock/train/named.hpp>         // defines: named_tensors
#include <penstock/train/pace.hpp>          // defines: pace
#include <penstock/train/progress.hpp>      // defines: progress, progress_view
#include <penstock/train/summary.hpp>       // defines: run_summary, summary_table, time_split, phase, tracked_metric

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::train {

/// What a part's on_epoch returned, and, where the part says it, which value of each metric is its best one.
struct part_metrics {
    metric_values values{};
    std::vector<best> directions{};
};

/// What pipelines left out because they were allowed to.
struct left_out_counts {
    std::uint64_t samples = 0, parts = 0;  ///< parts: of shards
};

/// Where rows of metrics go. One that throws is told once, and fed again with the next row: it ends no run.
using metrics_sink = std::function<void(metrics_row const&)>;

/// Rank 0 prints and writes; the mean loss of an interval is a collective, at steps that follow from the step's number.
class fit_log {
public:
    fit_log(dist::context& ctx, fit_options const& o, time_split const& times) : ctx_(ctx), o_(o), times_(times) {
        if (shows()) bar_.emplace();
    }

    /// Rows of metrics go there as well, from rank 0.
    void feed(metrics_sink sink) {
        if (ctx_.rank() == 0) sinks_.push_back({std::move(sink), false});
    }

    /// What a reader of the output wants to know first. `parts` is the number of those with on_epoch.
    void start(fit_position const& at, bool resumed, chosen_precision const& p, std::size_t parts, std::vector<std::string>& notes) {
        first_ = at;
        begun_ = progress::seconds();
        open_files(at, resumed, parts);
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

    /// Whether the losses are added up after this step.
    bool due(fit_position const& at) const { return at.step % o_.log_every == 0; }

    /// Once per step, after flush() where that is due.
    void step(fit_position const& at) {
        auto const now = progress::seconds();
        pace_.see(at.step, at.samples, now);
        if (!bar_) return;
        if (std::isnan(loss_) && now - begun_ < 1) return;  // nothing to say yet
        bar_->update(view(at), now);
    }

    /// The mean loss since the last call, and what was left out (`left_out` on this rank), over all ranks. A collective.
    /// Errors: a loss that is inf or NaN ends the run on all ranks.
    void flush(fit_position& at, double lr, left_out_counts left_out) {
        auto const sum = add_up(at, left_out);
        if (!at.loss.defined()) return;
        loss_ = sum / at.weight;
        at.epoch_loss += sum;
        at.epoch_weight += at.weight;
        at.loss = at::Tensor();
        at.weight = 0;
        if (!std::isfinite(loss_)) refuse("the loss became inf or NaN", at);
        write({at.step, at.epoch, 0, {{"epoch", static_cast<double>(at.epoch + 1)}, {"loss", loss_}, {"lr", lr}, {"samples", static_cast<double>(at.samples)},
                                      {"samples_per_s", pace_.samples_per_s()}, {"data_wait", waiting()}}});
    }

    /// Ends the run on all ranks when the loss since the last log line is inf or NaN on one, or a weight is. A collective.
    void check(fit_position const& at, named_tensors const& weights) {
        bool const loss = at.loss.defined() && !std::isfinite(at.loss.item<double>());
        auto const spoiled = std::ranges::find_if(weights, [](auto const& w) { return at::isFloatingType(w.second.scalar_type()) && !at::isfinite(w.second).all().template item<bool>(); });
        auto bad = at::full({1}, loss ? 2 : spoiled != weights.end() ? 1 : 0, at::kLong);
        ctx_.all_reduce(bad, c10d::ReduceOp::MAX);
        if (bad.item<std::int64_t>() == 2) refuse("the loss became inf or NaN", at);
        if (bad.item<std::int64_t>() == 1) refuse(spoiled == weights.end() ? "a weight of another rank became inf or NaN" : message("the weight '", spoiled->first, "' became inf or NaN"), at);
    }

    /// The metrics of an epoch that has ended, by part, with what each says is best. A collective, since parts leave out samples too.
    void validated(fit_position const& at, std::vector<part_metrics> const& by_part, left_out_counts left_out) {
        (void)add_up(at, left_out);
        auto line = message("epoch ", at.epoch, "/", o_.epochs, "  loss ", at.epoch_weight > 0 ? train::number(at.epoch_loss / at.epoch_weight) : "-");
        for (std::size_t i = 0; i != by_part.size(); ++i) {
            see(at, by_part[i], line);
            if (!by_part[i].values.empty()) write({at.step, at.epoch, i + 1, by_part[i].values});
        }
        for (auto const& w : counted(at)) line += "  " + w;
        note(line + message("  ", grouped(at.samples), " samples, ", duration(progress::seconds() - begun_)));
    }

    /// With every checkpoint: rows that lead to it are on the disk. A file that cannot be written is told once, and tried again by the next call.
    void sync() {
        if (steps_csv_) put(*steps_csv_);
        for (auto const& file : epochs_csv_)
            if (file->waiting() != 0) put(*file);
    }

    void note(std::string_view line) {
        if (bar_) bar_->note(line);
    }
    /// What the run goes on without: said also when the run is quiet, and kept for the report.
    void warn(std::string const& line) {
        if (ctx_.rank() != 0) return;
        warnings_.push_back(line);
        if (bar_) bar_->note("warning: " + line);
        else std::fprintf(stderr, "penstock: warning: %s\n", line.c_str());
    }

    /// The end of the run: the report gets what is known here. A collective.
    void finish(fit_position const& at, left_out_counts left_out, fit_report& r) {
        auto const sum = add_up(at, left_out);
        if (at.loss.defined()) loss_ = sum / at.weight;
        r.loss = loss_;
        r.left_out = left_out_.samples;
        r.left_out_parts = left_out_.parts;
        sync();
        auto const lost = [this](csv_log const& file) {
            if (file.waiting() != 0) warn(message(file.waiting(), file.waiting() == 1 ? " row" : " rows", " of metrics did not reach '", file.path().string(), "'"));
        };
        if (steps_csv_) lost(*steps_csv_);
        for (auto const& file : epochs_csv_) lost(*file);
        r.warnings = warnings_;
        if (!bar_) return;
        bar_->finish(view(at));
        auto table = summary_table({.epochs = r.epochs, .steps = r.steps - first_.step, .skipped_steps = skipped(at), .weightless_steps = weightless(at), .samples = r.samples - first_.samples, .left_out = r.left_out, .left_out_parts = r.left_out_parts,
                                    .seconds = r.seconds, .data_s = r.data_s, .compute_s = r.compute_s, .comm_s = r.comm_s, .save_s = r.save_s, .validate_s = r.validate_s,
                                    .metrics = metrics_});
        table.pop_back();
        bar_->note(table);
    }

private:
    bool shows() const { return !o_.quiet && ctx_.rank() == 0; }

    [[noreturn]] static void refuse(std::string const& what, fit_position const& at) {
        throw error(message("fit: ", what, " at or shortly before step ", at.step, " (epoch ", at.epoch + 1, ")",
                            "\n  HINT: lower the learning rate or clip gradients (.clip_norm); .nonfinite = nonfinite::skip goes on without such steps"));
    }
    /// All files of this run are looked at before its first step; each part has one of its own, since each has its own columns and its own rhythm.
    /// A run that was killed between the rows of a step and its next checkpoint has rows that will be written again.
    void open_files(fit_position const& at, bool resumed, std::size_t parts) {
        if (o_.csv.empty() || ctx_.rank() != 0) return;
        bool const inside = at.epoch_step != 0;
        auto const kept = [&](bool again) { return resumed ? std::optional(again && at.step != 0 ? at.step - 1 : at.step) : std::nullopt; };
        steps_csv_ = std::make_unique<csv_log>(o_.csv, std::vector<std::string>{"epoch", "loss", "lr", "samples", "samples_per_s", "data_wait"}, kept(inside && at.step % o_.log_every != 0));
        for (std::size_t i = 0; i != parts; ++i)
            epochs_csv_.push_back(std::make_unique<csv_log>(message(o_.csv, ".epochs", i == 0 ? "" : message('-', i + 1), ".csv"), std::vector<std::string>{"epoch"}, kept(inside || at.parts_due)));
        write_out(*steps_csv_);  // an error here is an error: nothing has been trained yet
    }
    void write_out(csv_log& file) {
        auto const before = file.moved_to();
        file.flush();
        if (auto const& old = file.moved_to(); old != before) note(message("metrics of an earlier run are now '", old, "'"));
    }
    void put(csv_log& file) {
        try {
            write_out(file);
            broken_.erase(&file);
        } catch (error const& e) {
            if (broken_.insert(&file).second) warn(message("metrics are not written: ", e.what(), "\n  The run goes on; rows are kept, and tried again with every checkpoint"));
        }
    }
    /// The sum of the ranks' losses since the last log line.
    double add_up(fit_position const& at, left_out_counts left_out) {
        auto sums = at::zeros({3}, at::kDouble);
        auto* s = sums.mutable_data_ptr<double>();
        if (at.loss.defined()) s[0] = at.loss.item<double>();
        s[1] = static_cast<double>(left_out.samples);
        s[2] = static_cast<double>(left_out.parts);
        ctx_.all_reduce(sums);
        left_out_ = {static_cast<std::uint64_t>(s[1]), static_cast<std::uint64_t>(s[2])};
        return s[0];
    }
    std::uint64_t skipped(fit_position const& at) const { return at.skipped - first_.skipped; }
    std::uint64_t weightless(fit_position const& at) const { return at.weightless() - first_.weightless(); }
    std::vector<std::string> counted(fit_position const& at) const {
        return detail::losses({.skipped = skipped(at), .weightless = weightless(at), .left_out = left_out_.samples, .left_out_parts = left_out_.parts});
    }

    void see(fit_position const& at, part_metrics const& part, std::string& line) {
        for (std::size_t i = 0; i != part.values.size(); ++i) {
            auto const& name = part.values[i].first;
            auto const value = part.values[i].second;
            line += "  " + name + " " + train::number(value);
            auto const known = [&](tracked_metric const& m) { return m.name == name; };
            auto m = std::ranges::find_if(metrics_, known);
            if (m == metrics_.end()) m = metrics_.insert(m, {.name = name});
            if (i < part.directions.size()) m->direction = part.directions[i];
            m->see(value, at.step);
        }
    }
    void write(metrics_row const& row) {
        for (auto& one : sinks_) {
            auto const tell = [&, this](char const* what) {
                if (!std::exchange(one.broken, true)) warn(message("a part's on_metrics failed: ", what, "\n  The run goes on, and it is called again with the next row"));
            };
            try {
                one.sink(row);
            } catch (std::exception const& e) {
                tell(e.what());
            } catch (...) {
                tell("it threw something that is no std::exception");
            }
        }
        if (!steps_csv_) return;
        std::vector<std::pair<std::string_view, double>> cells;
        if (row.part != 0) cells.emplace_back("epoch", static_cast<double>(row.epoch));
        for (auto const& [name, value] : row.values) cells.emplace_back(name, value);
        (row.part == 0 ? *steps_csv_ : *epochs_csv_[row.part - 1]).row(row.step, cells);
    }
    double waiting() const {
        auto const all = progress::seconds() - begun_;
        return all > 0 ? times_.seconds(phase::data) / all : 0;
    }
    progress_view view(fit_position const& at) const {
        bool const over = at.epoch_step == 0 && at.epoch != 0;  // at an epoch's edge the epoch that has ended is shown
        auto const done = over ? steps_ : at.epoch_step;
        auto const left = steps_ == 0 ? 0 : (steps_ - (std::min)(steps_, at.epoch_step)) + steps_ * (o_.epochs - (std::min)(o_.epochs, at.epoch + 1));
        return {.epoch = at.epoch + (over ? 0 : 1), .epochs = o_.epochs, .step = done, .steps = steps_, .loss = loss_, .samples_per_s = pace_.samples_per_s(),
                .seconds_left = over && at.epoch >= o_.epochs ? 0 : steps_ == 0 ? std::numeric_limits<double>::quiet_NaN() : pace_.seconds_left(left), .waiting = waiting(),
                .skipped = skipped(at), .weightless = weightless(at), .left_out = left_out_.samples, .left_out_parts = left_out_.parts};
    }

    dist::context& ctx_;
    fit_options const& o_;
    time_split const& times_;
    std::optional<progress> bar_;
    std::unique_ptr<csv_log> steps_csv_;
    std::vector<std::unique_ptr<csv_log>> epochs_csv_;  // by part
    struct fed {
        metrics_sink sink;
        bool broken;
    };
    std::vector<fed> sinks_;
    std::set<csv_log const*> broken_;                   // what could not be written the last time
    std::vector<std::string> warnings_;
    pace pace_;
    fit_position first_{};
    double begun_ = 0;
    double loss_ = std::numeric_limits<double>::quiet_NaN();
    std::uint64_t steps_ = 0;
    left_out_counts left_out_;
    std::vector<tracked_metric> metrics_;
};

}  // namespace penstock::train
