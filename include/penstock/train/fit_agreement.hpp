// Implements: what the ranks of a run of fit must be given alike: options, schedule, model, optimizer, parts, data, weights.
#pragma once

#include <penstock/core/errors.hpp>        // defines: config_error, message
#include <penstock/core/facts.hpp>         // defines: chain_facts, facts_of
#include <penstock/core/source.hpp>        // defines: resumable
#include <penstock/core/state.hpp>         // defines: state
#include <penstock/core/world.hpp>         // defines: world
#include <penstock/dist/agreement.hpp>     // defines: dist::agree, dist::claims, dist::context
#include <penstock/train/checksum.hpp>     // defines: crc32c
#include <penstock/train/fit_options.hpp>  // defines: fit_options, schedule
#include <penstock/train/precision.hpp>    // defines: precision, name_of
#include <penstock/train/settings.hpp>     // defines: exact_text

#include <ATen/ATen.h>
#include <c10/util/Type.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>

namespace penstock::train {

/// Where a pipeline stands, if it can tell: an erased one says so only when it is asked.
template <class Data>
std::optional<state> told_state(Data const& data) {
    if constexpr (resumable<Data>) try {
            return data.save();
        } catch (config_error const&) {}
    return std::nullopt;
}

/// Names of the stages of a saved state, the source first: what tells one chain from another.
inline std::string chain_of(state const& s) {
    std::string names;
    for (auto const& r : s.records)
        if (!r.nested) names += (names.empty() ? "" : " | ") + r.stage;
    return names;
}

/// The numbers of a state that are about `what`, as text, each stage that has some named once.
inline std::string numbers_about(state_record::about what, state const& s) {
    std::string text;
    for (auto const& r : s.records) {
        bool named = false;
        for (auto const& n : r.numbers) {
            if (n.what != what) continue;
            if (!std::exchange(named, true)) text += (text.empty() ? "" : ", ") + r.stage;
            text += message(' ', n.name, '=', n.value);
        }
    }
    return text;
}
/// The data behind a pipeline, and their order, by a state of it.
inline std::string data_identity(state const& s) { return numbers_about(state_record::about::data, s); }
/// The counts that a source found out itself (read_tar(count_mode::unknown)); nothing while it does not know them.
inline std::string counted_identity(state const& s) { return numbers_about(state_record::about::counts, s); }

/// Chain and data behind a pipeline, where it can tell.
template <class Data>
dist::claims data_claims(Data const& data) {
    auto const where = told_state(data);
    if (!where) return {};
    return {{"chain", chain_of(*where)}, {"data", data_identity(*where)}};
}

/// The options that decide when collectives happen and what a step does. `.csv` and `.quiet` are a rank's own: only rank 0 writes and prints.
inline dist::claims option_claims(fit_options const& o, precision p) {
    return {{".epochs", std::to_string(o.epochs)},
            {".seed", std::to_string(o.seed)},
            {".accumulate", std::to_string(o.accumulate)},
            {".precision", std::string(name_of(p))},
            {".clip_norm", exact_text(o.clip_norm)},
            {".nonfinite", o.nonfinite == nonfinite::skip ? "skip" : "stop"},
            {".checkpoint", o.checkpoint},
            {".save_every", std::to_string(o.save_every)},
            {".keep", std::to_string(o.keep)},
            {".resume", message("resume::", std::array{"never", "if_possible", "required", "ledger"}[static_cast<std::size_t>(o.resume)])},
            {".log_every", std::to_string(o.log_every)},
            {".bucket_bytes", std::to_string(o.bucket_bytes)},
            {".find_unused", o.find_unused ? "true" : "false"},
            {".split", o.split == data_split::by_rank ? "data_split::by_rank" : "data_split::as_it_is"},
            {".max_steps", std::to_string(o.max_steps)}};
}

/// The schedule at its first step and at points of a run of `steps` steps; 0: nobody knows how long the run is, and what lies behind it is not asked.
inline dist::claims schedule_claims(schedule const& factor, std::uint64_t steps) {
    dist::claims out;
    auto const ask = [&](std::uint64_t t) { out.emplace_back(message(".schedule at step ", t), exact_text(factor(static_cast<double>(t)))); };
    ask(0);
    for (std::uint64_t decade = 1; decade < steps; decade *= 10) {
        for (std::uint64_t k : {1u, 2u, 5u})
            if (k <= (steps - 1) / decade) ask(k * decade);
        if (decade > steps / 10) break;  // the next one is no number any more where a run has no end
    }
    for (std::uint64_t quarter = 1; steps >= 4 && quarter < 4; ++quarter) ask(steps / 4 * quarter);
    if (steps > 1) ask(steps - 1);
    return out;
}

/// Names, types and shapes: ranks broadcast, reduce and save them in this order.
inline dist::claims model_claims(torch::nn::Module const& m) {
    dist::claims out;
    auto const add = [&out](char const* kind, auto const& list) {
        for (auto const& kv : list)
            out.emplace_back(message(kind, " '", kv.key(), '\''),
                             kv.value().defined() ? message(kv.value().dtype().name(), ' ', kv.value().sizes(), kv.value().requires_grad() ? ", trained" : "") : "undefined");
    };
    add("parameter", m.named_parameters());
    add("buffer", m.named_buffers());
    return out;
}

/// Kind, numbers and state of an optimizer; one without `settings()` is known by its type.
template <class O>
dist::claims optimizer_claims(O const& opt) {
    dist::claims out;
    if constexpr (requires { opt.settings(); })
        for (auto const& [name, value] : opt.settings()) out.emplace_back(message(name, " of the optimizer"), value);
    else out.emplace_back("optimizer", c10::demangle(typeid(O).name()));
    out.emplace_back("lr of the optimizer", exact_text(opt.lr()));
    for (auto const& [name, t] : opt.parameters()) out.emplace_back(message("parameter '", name, "' of the optimizer"), message(t.dtype().name(), ' ', t.sizes()));
    for (auto const& [name, t] : opt.state()) out.emplace_back(message("state '", name, "' of the optimizer"), message(t.dtype().name(), ' ', t.sizes()));
    return out;
}

/// A part of fit, number `n` from 1; one without `settings()` is known by its type.
template <class P>
dist::claims part_claims(P const& part, int n) {
    if constexpr (requires { part.settings(); }) {
        dist::claims out;
        for (auto const& [name, value] : part.settings()) out.emplace_back(message(name, " of part ", n), value);
        return out;
    } else return {{message("part ", n), c10::demangle(typeid(P).name())}};
}

/// What is wrong with how data is split for rank `w.rank` of `w.size`, "" for nothing; `what` is the data.
inline std::string split_fault(std::string_view what, chain_facts const& said, world w) {
    auto const refuse = [&](auto const&... rule) {
        return message(what, " must be split for the ranks of this run, ", rule...,
                       "\n  HINT: put split_by_rank(ctx.world()) behind the list of shards or the source; where that is meant, .split = data_split::as_it_is");
    };
    if (said.split && *said.split != w) return refuse("got a split for rank ", said.split->rank, " of ", said.split->size, " on rank ", w.rank, " of ", w.size);
    if (w.size == 1 || !said.whole) return {};
    if (said.split) return refuse("one of its sources is not: each of the ", w.size, " ranks would use all of it");
    return refuse("got data that is not: each of the ", w.size, " ranks would use all of it");
}

/// A checksum of every parameter: what tells a rank whose weights drifted.
inline dist::claims weight_claims(torch::nn::Module const& m) {
    dist::claims out;
    for (auto const& kv : m.named_parameters()) {
        if (!kv.value().defined()) continue;
        auto const host = kv.value().detach().resolve_conj().resolve_neg().to(at::kCPU).contiguous();
        out.emplace_back(message("weights '", kv.key(), '\''), message("checksum ", crc32c(host.const_data_ptr(), host.nbytes())));
    }
    return out;
}

/// Optimizer steps that so many batches make.
inline std::uint64_t steps_of(fit_options const& o, std::uint64_t batches) {
    auto const window = static_cast<std::uint64_t>(o.accumulate);
    return batches / window + (batches % window != 0);
}

/// All of the above, of a whole run.
template <class Data, class Optimizer, class Parts>
dist::claims run_claims(fit_options const& o, precision p, Data const& data, torch::nn::Module const& model, Optimizer const& opt, Parts const& parts) {
    auto all = option_claims(o, p);
    auto const add = [&all](dist::claims more) { std::ranges::move(more, std::back_inserter(all)); };
    std::uint64_t steps = o.max_steps;
    bool const shared = o.split == data_split::by_rank;  // else every rank may have data of its own
    if (auto const most = facts_of(data).world_max; shared && most) {
        all.emplace_back("number of batches per epoch", std::to_string(*most));
        auto const each = steps_of(o, *most), endless = (std::numeric_limits<std::uint64_t>::max)();
        auto const whole = each != 0 && o.epochs > endless / each ? endless : each * o.epochs;
        steps = steps == 0 ? whole : (std::min)(steps, whole);
    }
    add(schedule_claims(o.schedule, steps));
    add(model_claims(model));
    add(optimizer_claims(opt));
    int number = 0;
    std::apply([&](auto const&... part) { (add(part_claims(part, ++number)), ...); }, parts);
    if (shared) add(data_claims(data));
    return all;
}

/// A collective, before the first step.
inline void agree_on_run(dist::context& ctx, dist::claims mine) {
    ctx.collective_phase("compares what the ranks were given");
    (void)dist::agree(ctx, std::move(mine), "fit", "start all ranks with the same program and arguments, and look for a shard that differs on one machine");
}
/// A collective, after `step` steps, `applied` of which changed the weights.
inline void agree_on_weights(dist::context& ctx, torch::nn::Module const& model, schedule const& factor, std::uint64_t step, std::uint64_t applied) {
    if (ctx.world_size() == 1) return;
    ctx.collective_phase("compares the weights");
    auto mine = weight_claims(model);
    auto const last = applied == 0 ? 0 : applied - 1;  // where nobody knows how long a run is, its schedule was asked for the first step only
    mine.insert(mine.begin(), {message(".schedule at step ", last), exact_text(factor(static_cast<double>(last)))});
    (void)dist::agree(ctx, std::move(mine), message("fit, after step ", step),
                      "a rank's own code changed its weights (an on_step, a loss that writes into the model), or a machine computes wrongly; resume from the last checkpoint");
}
/// A collective: if the data of one rank has a `fault` all ranks refuse; of a wrong split some may be right.
inline void refuse_together(dist::context& ctx, std::string const& fault) {
    ctx.collective_phase("looks at how the data is split");
    auto any = at::full({1}, fault.empty() ? 0 : 1, at::kLong);
    ctx.all_reduce(any, c10d::ReduceOp::MAX);
    if (!fault.empty()) throw config_error(fault);
    if (any.item<std::int64_t>() != 0) throw config_error("fit: the data of another rank is not split for it\n  HINT: its own message says how; pass ctx.world() to split_by_rank on every rank");
}

}  // namespace penstock::train
