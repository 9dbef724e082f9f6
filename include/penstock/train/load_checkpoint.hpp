// Implements: load_checkpoint(path, peers), the newest complete checkpoint that every rank can read.
#pragma once

#include <penstock/core/errors.hpp>             // defines: state_error, message
#include <penstock/train/checkpoint.hpp>        // defines: snapshot, peers, list_checkpoints
#include <penstock/train/manifest.hpp>          // defines: manifest, read_manifest
#include <penstock/train/read_safetensors.hpp>  // defines: read_safetensors

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace penstock::train {

struct load_options {
    bool any_world = false;  ///< also one that another number of ranks saved: then `state.rank` and `state.pipeline` are empty
};

struct loaded_checkpoint {
    snapshot state{};
    manifest about{};
    std::filesystem::path directory{};
    std::vector<std::string> rejected{};  ///< one sentence for each newer one that was passed over
};

namespace detail {

inline named_tensors read_part(std::filesystem::path const& directory, manifest const& about, std::string const& name) {
    auto const mark = about.files.find(name);
    if (mark == about.files.end())
        throw state_error(message("checkpoint(", directory.string(), "): '", name, "' must be in the manifest\n  HINT: it is not a complete checkpoint"));
    auto file = read_safetensors(directory / name);
    if (file_mark{file.bytes, file.checksum} != mark->second)
        throw state_error(message("checkpoint(", (directory / name).string(), "): size and checksum must be those of the manifest, ", mark->second.bytes, " bytes and ",
                                  mark->second.checksum, ", got ", file.bytes, " and ", file.checksum, "\n  HINT: the file was changed or damaged after it was written"));
    return std::move(file.tensors);
}

inline loaded_checkpoint read_checkpoint(std::filesystem::path const& directory, int rank, int world) {
    loaded_checkpoint out{.about = read_manifest(directory), .directory = directory};
    auto& s = out.state;
    s.step = out.about.step;
    s.epoch = out.about.epoch;
    s.samples = out.about.samples;
    s.chain = out.about.chain;
    s.metadata = out.about.metadata;
    s.model = read_part(directory, out.about, model_file);
    s.optim = read_part(directory, out.about, optim_file);
    if (out.about.world != world) return out;  // refused by the caller, whose sentence is better, or wanted without a rank's own part
    for (auto& [name, t] : read_part(directory, out.about, rank_file(rank))) {
        if (name == pipeline_tensor) s.pipeline.assign(static_cast<char const*>(t.const_data_ptr()), t.nbytes());
        else s.rank.emplace_back(std::move(name), std::move(t));
    }
    return out;
}

inline std::string first_line(std::string const& text) { return text.substr(0, text.find('\n')); }

}  // namespace detail

/// Reads the newest complete checkpoint below `path` (or `path` itself, when it is one) on all ranks; empty when there is none at all.
///
/// Order    newest = saved last; one that any rank finds damaged is passed over by all, with a sentence in `rejected`
/// Buffers  all tensors of the checkpoint on the host
/// Resume   then restore(state.model, state_of(net), "model"), opt.load(state.optim), load_generators(state.rank), and the pipeline's own load
/// Threads  none; a collective: every rank calls it
/// Errors   state_error: checkpoints exist and none is usable, the one that was asked for is damaged, or it was saved by another number of ranks (without any_world)
///
///     if (auto last = load_checkpoint("run", all)) restore(last->state.model, state_of(net), "model");
inline std::optional<loaded_checkpoint> load_checkpoint(std::filesystem::path const& path, peers const& all = {}, load_options o = {}) {
    std::vector<checkpoint_entry> entries;
    std::error_code ignored;
    std::vector<std::string> rejected;
    bool exact = false;
    if (all.rank == 0) {
        exact = std::filesystem::exists(path / "manifest.json", ignored) || detail::step_of(path.filename().string()).has_value();
        try {
            if (!exact) entries = list_checkpoints(path);
        } catch (state_error const& bad) { rejected.push_back(detail::first_line(bad.what())); }
    }
    if (all.any(!rejected.empty()) && rejected.empty()) rejected.push_back("rank 0 cannot list the directory");
    exact = all.first(exact ? 1 : 0) == 1;
    for (std::size_t i = 0;; ++i) {
        auto const at_end = exact ? i == 1 : i >= entries.size();
        if (all.any(all.rank == 0 && at_end)) break;
        auto const step = all.first(all.rank == 0 && !exact ? entries[i].step : 0);
        auto const directory = exact ? path : path / detail::step_name(step);
        std::optional<loaded_checkpoint> out;
        std::string why;
        try {
            out = detail::read_checkpoint(directory, all.rank, all.world);
        } catch (state_error const& bad) {
            why = bad.what();
        } catch (c10::Error const& bad) {  // no memory for it
            why = message("checkpoint(", directory.string(), "): ", bad.what_without_backtrace());
        }
        if (all.any(!out.has_value())) {
            rejected.push_back(why.empty() ? message("checkpoint(", directory.string(), "): another rank cannot read it") : detail::first_line(why));
            continue;
        }
        if (out->about.world != all.world && !o.any_world)
            throw state_error(message("checkpoint(", directory.string(), "): must be loaded by as many ranks as saved it, ", out->about.world, ", got ", all.world,
                                      "\n  HINT: start ", out->about.world, " ranks, or start afresh from its model.safetensors"));
        out->rejected = std::move(rejected);
        return out;
    }
    if (rejected.empty()) return std::nullopt;
    std::string reasons;
    for (auto const& r : rejected) reasons += "\n  " + r;
    throw state_error(message("load_checkpoint(", path.string(), "): no complete checkpoint is left:", reasons,
                              "\n  HINT: restore one from a copy, or start afresh in an empty directory"));
}

}  // namespace penstock::train
