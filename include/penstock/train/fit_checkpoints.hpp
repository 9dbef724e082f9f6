// Implements: fit_saver, a run of fit into checkpoints and out of them.
#pragma once

#include <penstock/core/errors.hpp>            // defines: config_error, state_error, message
#include <penstock/core/state.hpp>             // defines: state
#include <penstock/dist/context.hpp>           // defines: dist::context
#include <penstock/dist/data_parallel.hpp>     // defines: dist::mean_buffers
#include <penstock/train/fit_agreement.hpp>    // defines: chain_of, data_identity, counted_identity
#include <penstock/train/fit_ledger.hpp>       // defines: put_ledger, get_ledger, read_ledgers, read_base
#include <penstock/train/fit_options.hpp>      // defines: fit_options, resume
#include <penstock/train/fit_position.hpp>     // defines: fit_position
#include <penstock/train/folder_lock.hpp>      // defines: folder_lock
#include <penstock/train/load_checkpoint.hpp>  // defines: load_checkpoint, peers, snapshot
#include <penstock/train/named.hpp>            // defines: named_tensors, state_of, buffers_of
#include <penstock/train/restore.hpp>          // defines: restore
#include <penstock/train/rng.hpp>              // defines: save_generators, load_generators
#include <penstock/train/save_checkpoint.hpp>  // defines: save_checkpoint

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace penstock::train {

/// The agreement of save_checkpoint and load_checkpoint, over the ranks of a context.
inline peers peers_of(dist::context& ctx) {
    return {.rank = ctx.rank(),
            .world = ctx.world_size(),
            .any = [&ctx](bool mine) {
                auto t = at::full({1}, mine ? 1 : 0, at::kLong);
                ctx.all_reduce(t, c10d::ReduceOp::MAX);
                return t.item<std::int64_t>() != 0;
            },
            .first = [&ctx](std::uint64_t mine) {
                auto t = at::full({1}, std::bit_cast<std::int64_t>(mine), at::kLong);
                ctx.broadcast(t);
                return std::bit_cast<std::uint64_t>(t.item<std::int64_t>());
            }};
}

/// Saves and restores all that a run of fit needs: weights (buffers averaged over the ranks), optimizer, counters; and of each rank its own
/// buffers, generators, pipeline and running loss. All members are collectives.
class fit_saver {
public:
    struct optimizer_state {
        std::function<named_tensors()> read;
        std::function<void(named_tensors const&)> load;
    };

    /// `told` is told_state of the pipeline that is trained.
    fit_saver(dist::context& ctx, fit_options const& o, torch::nn::Module& model, optimizer_state optimizer, std::optional<state> const& told)
        : ctx_(ctx), o_(o), model_(model), optimizer_(std::move(optimizer)), chain_(told ? chain_of(*told) : std::string()), data_(told ? data_identity(*told) : std::string()) {}

    bool on() const { return !o_.checkpoint.empty(); }

    /// Restores weights, optimizer and position from the newest complete checkpoint, as the options say; false: start from the beginning.
    /// Before the engine is built. Sentences about checkpoints that were passed over go to `notes`.
    bool load(fit_position& at, std::vector<std::string>& notes) {
        if (!on()) return false;
        ctx_.collective_phase("loads a checkpoint");
        bool const required = o_.resume != resume::never && o_.resume != resume::if_possible;
        if (std::error_code error; required && ctx_.rank() == 0 && !std::filesystem::exists(o_.checkpoint, error)) refuse_without();  // before the lock makes it
        lock(notes);
        if (o_.resume == resume::never) {
            auto const worth_keeping = [](checkpoint_entry const& e) { return e.step != 0; };  // a run that failed before its first step leaves only 0
            bool const used = ctx_.rank() == 0 && std::ranges::any_of(list_checkpoints(o_.checkpoint), worth_keeping);
            if (peers_of(ctx_).any(used))
                throw config_error(message("fit: '", o_.checkpoint, "' holds checkpoints of an earlier run, and .resume is never",
                                           "\n  HINT: .resume = resume::if_possible continues it; else name another folder, or move this one away"));
            return false;
        }
        auto found = load_checkpoint(o_.checkpoint, peers_of(ctx_), {.any_world = true});
        if (!found) {
            if (o_.resume == resume::if_possible) return false;
            refuse_without();
        }
        for (auto& r : found->rejected) notes.push_back("passed over " + std::move(r));
        auto& s = found->state;
        bool const exact = found->about.world == ctx_.world_size() && o_.resume != resume::ledger;
        check(*found, exact);
        restore(s.model, state_of(model_), found->directory.string() + ": model");
        optimizer_.load(s.optim);
        at.epoch = s.epoch;
        at.step = number(*found, "step");
        at.epoch_step = number(*found, "epoch_step");
        at.applied = number(*found, "applied");
        at.skipped = number(*found, "skipped");
        at.samples = s.samples;
        at.weight = std::bit_cast<double>(number(*found, "loss.weight"));
        at.epoch_loss = std::bit_cast<double>(number(*found, "epoch.loss"));
        at.epoch_weight = std::bit_cast<double>(number(*found, "epoch.weight"));
        at.parts_due = number(*found, "parts_due") != 0;
        if (auto const f = s.metadata.find("feedback"); f != s.metadata.end()) at.feedback = feedback_position::parse(f->second);
        if (ctx_.rank() != 0) at.feedback.waiting.clear();
        notes.push_back(message("resumed from ", found->directory.string()));
        if (exact) go_on(at, *found);
        else take_over(at, *found, notes);
        return true;
    }
    /// Gives this rank its own buffers and generators back. After the engine is built: that broadcasts the buffers of rank 0.
    void restore_rank() {
        if (taken_over_) seed_generators(mix64(mix64(mix64(o_.seed) + *taken_over_) + static_cast<std::uint64_t>(ctx_.rank())));
        if (rank_.empty()) return;
        named_tensors own;
        for (auto const& [name, t] : rank_)
            if (name.starts_with(buffer)) own.emplace_back(name.substr(buffer.size()), t);
        restore(own, buffers_of(model_), o_.checkpoint + ": buffers of this rank");
        load_generators(rank_);
        rank_.clear();
    }

    /// Writes a checkpoint of the position between two steps; `notes` gets what could not be tidied up.
    void save(fit_position const& at, std::vector<std::string>& notes) {
        if (!on()) return;
        ctx_.collective_phase("saves a checkpoint");
        if (lock_ && !lock_->holds()) {
            notes.push_back(message("'", o_.checkpoint, "' was removed or moved away in mid-run: it is made anew, without what was saved there"));
            take_lock(notes);
        }
        snapshot s{.step = at.step, .epoch = at.epoch, .samples = at.samples, .chain = chain_};
        s.model = parameters();
        for (auto& b : dist::mean_buffers(ctx_, model_)) s.model.push_back(std::move(b));
        s.optim = optimizer_.read();
        s.rank = save_generators();
        for (auto const& [name, t] : buffers_of(model_)) s.rank.emplace_back(std::string(buffer) + name, t);
        s.rank.emplace_back("loss.sum", at.loss.defined() ? at.loss : at::zeros({}, at::kDouble));
        if (at.inside) s.pipeline = at.inside->text();
        put_ledger(s.rank, used_tensor, at.used);
        if (ctx_.rank() == 0) put_ledger(s.rank, base_tensor, at.base);
        s.metadata = {{"step", std::to_string(at.step)},
                      {"epoch_step", std::to_string(at.epoch_step)},
                      {"applied", std::to_string(at.applied)},
                      {"skipped", std::to_string(at.skipped)},
                      {"loss.weight", std::to_string(std::bit_cast<std::uint64_t>(at.weight))},
                      {"taken_over", std::to_string(at.taken_over)},
                      {"epoch.loss", std::to_string(std::bit_cast<std::uint64_t>(at.epoch_loss))},
                      {"epoch.weight", std::to_string(std::bit_cast<std::uint64_t>(at.epoch_weight))},
                      {"parts_due", at.parts_due ? "1" : "0"},
                      {"data", data_},
                      {"counted", at.inside ? counted_identity(*at.inside) : std::string()},
                      {"feedback", at.feedback.text()},
                      {"seed", std::to_string(o_.seed)},
                      {"accumulate", std::to_string(o_.accumulate)}};
        auto saved = save_checkpoint(o_.checkpoint, s, peers_of(ctx_), {.keep = o_.keep});
        for (auto& n : saved.notes) notes.push_back(std::move(n));
    }

    /// After the rest of an epoch was divided anew: `now` is the pipeline, whose source has counted its shards.
    void check_counts(state const& now) const {
        if (!counted_.empty() && counted_identity(now) != counted_)
            throw state_error(message("fit: the checkpoint was saved over ", counted_, ", the data is now ", counted_identity(now),
                                      "\n  HINT: shards changed since, or their order: restore them, or start in an empty folder with the weights of model.safetensors"));
    }

private:
    [[noreturn]] void refuse_without() const {
        throw state_error(message("fit: .resume needs a checkpoint, there is none in '", o_.checkpoint, "'\n  HINT: look at the name; .resume = resume::if_possible starts from the beginning then"));
    }
    /// Rank 0 keeps other runs out of the folder for as long as this one lives.
    void lock(std::vector<std::string>& notes) {
        if (ctx_.rank() == 0) take_lock(notes);
        ctx_.barrier();
    }
    void take_lock(std::vector<std::string>& notes) {
        lock_.emplace(std::filesystem::path(o_.checkpoint));
        if (!lock_->why_not().empty()) notes.push_back(lock_->why_not());
    }
    /// Every rank goes on with its own part.
    void go_on(fit_position& at, loaded_checkpoint& c) {
        auto& s = c.state;
        for (auto const& [name, t] : s.rank)
            if (name == "loss.sum" && at.weight > 0) at.loss = t.to(ctx_.device());
        if (!s.pipeline.empty()) at.inside = state::parse(s.pipeline);
        at.used = get_ledger(s.rank, used_tensor);
        at.taken_over = number(c, "taken_over");
        if (at.taken_over != 0) at.base = read_base(c);
        rank_ = std::move(s.rank);
    }
    /// The epoch goes on without what its ranks had used. Generators start anew: there may be more ranks than saved ones.
    void take_over(fit_position& at, loaded_checkpoint const& c, std::vector<std::string>& notes) {
        taken_over_ = at.step;
        if (auto const counted = c.state.metadata.find("counted"); (ctx_.rank() == 0 || o_.split == data_split::by_rank) && counted != c.state.metadata.end()) counted_ = counted->second;
        auto before = read_ledgers(c);
        if (ctx_.rank() == 0 && at.weight > 0) at.loss = at::full({}, before.loss, at::kDouble).to(ctx_.device());
        if (at.epoch_step == 0) {
            if (!c.state.pipeline.empty()) notes.push_back("sources that go on over the edge of an epoch begin a new pass: the position of the chain is not taken over");
            return;
        }
        at.taken_over = 1 + at.epoch_step;
        at.base = std::move(before.all);
        notes.push_back(message("the rest of the epoch is divided anew: ", c.about.world, " ranks had begun it, this run has ", ctx_.world_size()));
    }

    static constexpr std::string_view buffer = "buffer.";

    named_tensors parameters() const {  // frozen ones too, under every name
        named_tensors all;
        for (auto const& kv : model_.named_parameters())
            if (kv.value().defined()) all.emplace_back(kv.key(), kv.value());
        return all;
    }
    std::uint64_t number(loaded_checkpoint const& c, std::string const& name) const {
        auto const at = c.state.metadata.find(name);
        std::uint64_t n = 0;
        if (at == c.state.metadata.end() || std::from_chars(at->second.data(), at->second.data() + at->second.size(), n).ec != std::errc{})
            throw state_error(message("fit: ", c.directory.string(), " holds no number '", name, "'\n  HINT: it was not saved by fit, or by another version"));
        return n;
    }
    void check(loaded_checkpoint const& c, bool exact) const {
        auto const same = [&](char const* what, auto const& saved, auto const& ours, char const* hint) {
            if (saved != ours) throw state_error(message("fit: ", c.directory.string(), " was saved with ", what, " ", saved, ", this run has ", ours, "\n  HINT: ", hint));
        };
        bool const ours = ctx_.rank() == 0 || o_.split == data_split::by_rank;  // it is rank 0 that says what was saved; else each may have other data
        if (exact && ours) same("the chain", c.state.chain, chain_, "build the same chain; or go on from the samples that were used, .resume = resume::ledger; or start in an empty folder");
        if (auto const data = c.state.metadata.find("data"); ours && number(c, "epoch_step") != 0 && data != c.state.metadata.end())
            same("the data", data->second, data_, "the shards, their order or their numbers of samples changed: restore them, or start in an empty folder with the weights of model.safetensors");
        same(".seed", number(c, "seed"), o_.seed, "use that seed to continue its order, or start in an empty folder");
        if (exact) same(".accumulate", number(c, "accumulate"), static_cast<std::uint64_t>(o_.accumulate), "use that number to continue its windows, or start in an empty folder");
    }

    dist::context& ctx_;
    fit_options const& o_;
    torch::nn::Module& model_;
    optimizer_state optimizer_;
    std::string chain_, data_, counted_;
    std::optional<folder_lock> lock_{};
    std::optional<std::uint64_t> taken_over_{};  // the step of a checkpoint that other ranks saved
    named_tensors rank_;  // what was loaded for this rank, until restore_rank
};

}  // namespace penstock::train
