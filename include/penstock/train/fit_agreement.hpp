// Implements: agree_on_run, the check that all ranks were given the same options and the same data.
#pragma once

#include <penstock/core/errors.hpp>        // defines: config_error, message
#include <penstock/core/random.hpp>        // defines: child_key
#include <penstock/core/state.hpp>         // defines: state
#include <penstock/dist/context.hpp>       // defines: dist::context
#include <penstock/train/fit_options.hpp>  // defines: fit_options
#include <penstock/train/precision.hpp>    // defines: precision, name_of

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>

namespace penstock::train {

/// The data behind a state of a pipeline, as text: of each planned source the numbers that tell one data set, and one order of it, from another.
inline std::string data_identity(state const& s) {
    std::string text;
    for (auto const& r : s.records) {
        bool const planned = std::ranges::any_of(r.numbers, [](auto const& n) { return n.name == "plan0"; });
        if (!planned) continue;
        text += (text.empty() ? "" : ", ") + r.stage;
        for (auto const& n : r.numbers)
            if (n.name.starts_with("plan") || n.name == "samples" || n.name == "epoch" || n.name == "shuffled" || n.name == "shuffle") text += message(' ', n.name, '=', n.value);
    }
    return text;
}

/// The counts that a source found out itself (read_tar(count_mode::unknown)), as text; nothing while it does not know them.
inline std::string counted_identity(state const& s) {
    std::string text;
    for (auto const& r : s.records)
        for (auto const& n : r.numbers)
            if (n.name.starts_with("exact_plan") || n.name == "exact_samples") text += message(text.empty() ? "" : ", ", r.stage, ' ', n.name, '=', n.value);
    return text;
}

/// What must be equal on all ranks, as text: the options that decide when collectives happen and what a step does, and the data.
/// `data` is a state of the pipeline.
inline std::string run_identity(fit_options const& o, precision p, std::optional<state> const& data, std::optional<std::uint64_t> batches) {
    auto text = message("epochs ", o.epochs, ", seed ", o.seed, ", accumulate ", o.accumulate, ", ", name_of(p), ", clip_norm ", o.clip_norm, ", nonfinite ",
                        o.nonfinite == nonfinite::skip ? "skip" : "stop", ", checkpoint '", o.checkpoint, "', save_every ", o.save_every, ", resume ",
                        static_cast<int>(o.resume), ", log_every ", o.log_every, ", max_steps ", o.max_steps, ", bucket_bytes ", o.bucket_bytes, ", find_unused ", o.find_unused);
    if (batches) text += message(", ", *batches, " batches per epoch");
    if (data) {
        for (auto const& r : data->records) text += ", " + r.stage;
        text += "; " + data_identity(*data);
    }
    return text;
}

/// A collective. Errors: config_error on all ranks when the texts differ; each rank's names its own.
inline void agree_on_run(dist::context& ctx, std::string const& identity) {
    auto const mine = std::bit_cast<std::int64_t>(child_key(0, identity));
    auto least = at::full({1}, mine, at::kLong), most = least.clone();
    ctx.all_reduce(least, c10d::ReduceOp::MIN);
    ctx.all_reduce(most, c10d::ReduceOp::MAX);
    if (least.item<std::int64_t>() == most.item<std::int64_t>()) return;
    throw config_error(message("fit: the ranks were given different options or data; rank ", ctx.rank(), " has: ", identity,
                               "\n  HINT: compare this line with those of the other ranks; start all with the same arguments, and look for a shard that differs on one machine"));
}

}  // namespace penstock::train
