// Implements: fit_options, step_info and fit_report: what goes into the loop and what comes out.
#pragma once

#include <penstock/train/precision.hpp>  // defines: precision
#include <penstock/train/schedule.hpp>   // defines: schedule

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::train {

/// What the loop does when the loss of a rank, or a gradient, is inf or NaN.
enum class nonfinite {
    stop,  ///< end the run with an error at the next log step; the last checkpoint stays
    skip,  ///< leave weights, buffers and optimizer as they were, step by step, equal on all ranks; such steps are counted
};

/// What fit and validate ask of data in a run of several ranks.
enum class data_split {
    by_rank,   ///< every source of it is split for the ranks of the run: split_by_rank(ctx.world())
    as_it_is,  ///< nothing: the ranks hold parts of their own without split_by_rank, or each of them is meant to use all of it
};

/// Where a run starts. A checkpoint of another number of ranks is continued exactly once: what they had not used of the epoch is divided anew.
enum class resume {
    never,         ///< from the beginning; a folder that holds checkpoints already is refused
    if_possible,   ///< from the newest complete checkpoint, or from the beginning when there is none
    required,      ///< from the newest complete checkpoint; none is an error
    ledger,        ///< as required, but from the samples that were used, not from the position of the pipeline: the chain may have changed
};

/// How fit() trains. Plain data; members in the order in which they matter.
struct fit_options {
    std::uint64_t epochs = 1;
    std::uint64_t seed = 0;            ///< of shuffling and augmentation; the model's initial weights are the caller's
    int accumulate = 1;                ///< micro-batches per rank and optimizer step
    train::precision precision = train::precision::automatic;
    train::schedule schedule = {};     ///< factor of the optimizer's rate by applied steps
    double clip_norm = 0;              ///< bound of the global gradient norm; 0 does not clip
    train::nonfinite nonfinite = train::nonfinite::stop;

    std::string checkpoint = {};       ///< folder of the checkpoints; empty saves nothing
    std::uint64_t save_every = 0;      ///< optimizer steps between checkpoints; 0 saves at epoch edges and when a signal stops the run only
    std::size_t keep = 3;              ///< newest checkpoints to keep; 0 keeps all
    train::resume resume = train::resume::never;

    std::uint64_t log_every = 50;      ///< optimizer steps between log lines
    std::string csv = {};              ///< file for the metrics, a row per log step, and <file>.epochs.csv for those of validation; empty writes none
    bool quiet = false;                ///< print nothing
    std::size_t bucket_bytes = 25u << 20;  ///< gradients are reduced in buckets of at most about this size
    bool find_unused = false;          ///< parts of the model may stay unused in a step: costs one walk over the graph per step
    data_split split = data_split::by_rank;  ///< whether data that is not split for the ranks of this run is refused
    std::uint64_t max_steps = 0;       ///< stop (with a checkpoint) after so many optimizer steps; 0 is no limit
};

/// What a part's on_step(info) sees, after the update. Batches are this rank's.
template <class Batch>
struct step_info {
    std::uint64_t step = 0;         ///< steps done, this one included
    std::uint64_t epoch = 0;
    std::span<Batch const> batches{};
    at::Tensor loss{};              ///< this rank's sum of losses, 0-dim double, on the device
    double weight = 0;              ///< global weight of the window
    double lr = 0;
};

/// Named results of validation, in the order in which they were computed.
using metric_values = std::vector<std::pair<std::string, double>>;

/// What a part's on_metrics(row) gets, on rank 0: the figures of a log line, or what a part measured after an epoch.
struct metrics_row {
    std::uint64_t step = 0;    ///< steps done
    std::uint64_t epoch = 0;   ///< epochs done
    std::size_t part = 0;      ///< 0: training; k: the kth part with on_epoch
    metric_values values{};    ///< of training: epoch (counted from 1), loss, lr, samples, samples_per_s, data_wait
};

/// What fit() returns, equal on all ranks but for the times.
struct fit_report {
    std::uint64_t epochs = 0, steps = 0;  ///< those before the resume included, as in all counts of steps
    std::uint64_t skipped = 0;          ///< steps whose loss or gradient was not finite
    std::uint64_t weightless = 0;       ///< steps in which nothing weighed anything on any rank: an epoch keeps its number of batches where samples are left out
    std::uint64_t samples = 0;          ///< over all ranks, this run's and those before the resume
    bool stopped = false;               ///< ended before its end, by a signal, max_steps or a part
    std::uint64_t left_out = 0;         ///< samples that on_error or join_by_key left out of training and validation, over all ranks, in this run
    std::uint64_t left_out_parts = 0;   ///< parts of shards that no sample got because read_tar was allowed to leave them out, counted alike
    int signal = 0;                     ///< the one that ended it, else 0; dist::run then returns 128 + signal, which a main of its own should do too
    double loss = 0;                    ///< mean over the last log interval, a short one at the end of an epoch included; NaN if there was none
    std::vector<metric_values> history{};  ///< metrics by epoch, of this run
    std::vector<std::string> warnings{};   ///< sentences that rank 0 has said, also with .quiet: what the run went on without
    double seconds = 0;                 ///< of this process, from the call of fit to its end
    double data_s = 0, compute_s = 0, comm_s = 0, save_s = 0, validate_s = 0;  ///< this rank's share of it

    /// The last value of a metric; NaN if it was never measured in this run.
    double last(std::string_view name) const {
        for (auto e = history.rbegin(); e != history.rend(); ++e)
            for (auto const& [n, v] : *e)
                if (n == name) return v;
        return std::numeric_limits<double>::quiet_NaN();
    }
};

}  // namespace penstock::train
