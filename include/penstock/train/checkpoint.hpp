// Implements: what a checkpoint holds, how its directories are named and listed, and how ranks agree about them.
// Layout: <root>/step-0000000123/{model,optim,rank-00000,...}.safetensors, manifest.json; <root>/latest -> step-0000000123
#pragma once

#include <penstock/core/errors.hpp>        // defines: state_error, message
#include <penstock/train/manifest.hpp>     // defines: manifest, read_manifest
#include <penstock/train/named.hpp>        // defines: named_tensors
#include <penstock/train/safetensors.hpp>  // defines: string_map

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace penstock::train {

/// Everything a run needs to continue; tensors may be the live ones. Model, optim, chain and metadata are those of rank 0, the rest is each rank's own.
struct snapshot {
    std::uint64_t step = 0;  ///< applied optimizer steps; names the directory
    std::uint64_t epoch = 0;
    std::uint64_t samples = 0;
    named_tensors model{};
    named_tensors optim{};
    named_tensors rank{};    ///< generators, buffers that differ between ranks
    std::string pipeline{};  ///< state of this rank's pipeline, any bytes
    std::string chain{};     ///< description of the pipeline, for people
    string_map metadata{};
};

/// How the ranks of a run agree. Both functions are collectives: every rank calls them in the same order. The default is a run of one rank.
struct peers {
    int rank = 0;
    int world = 1;
    std::function<bool(bool)> any = [](bool mine) { return mine; };                                      ///< true on all ranks if true on one
    std::function<std::uint64_t(std::uint64_t)> first = [](std::uint64_t mine) { return mine; };         ///< the value of rank 0 on all ranks
};

namespace detail {

inline constexpr char const *model_file = "model.safetensors", *optim_file = "optim.safetensors", *pipeline_tensor = "pipeline.text";

inline std::string step_name(std::uint64_t step) {
    char text[40];
    std::snprintf(text, sizeof text, "step-%010llu", static_cast<unsigned long long>(step));
    return text;
}
inline std::string rank_file(int rank) {
    char text[40];
    std::snprintf(text, sizeof text, "rank-%05d.safetensors", rank);
    return text;
}
inline std::optional<std::uint64_t> step_of(std::string_view name) {
    if (!name.starts_with("step-") || name.size() < 15) return {};
    std::uint64_t step = 0;
    auto const [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (error != std::errc{} || end != name.data() + name.size()) return {};
    return step;
}

}  // namespace detail

/// A directory of the right name; `about` is empty when its manifest is missing or damaged, and `why` says so.
struct checkpoint_entry {
    std::uint64_t step = 0;
    std::optional<manifest> about{};
    std::string why{};
};

/// The checkpoints of a run, newest first; damaged ones before all others. Directories under construction are not listed.
/// Errors: state_error when the directory exists and cannot be listed: "cannot look" must not become "nothing there, start afresh".
inline std::vector<checkpoint_entry> list_checkpoints(std::filesystem::path const& root) {
    std::vector<checkpoint_entry> out;
    std::error_code error;
    for (std::filesystem::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
        auto const step = detail::step_of(it->path().filename().string());
        std::error_code ignored;
        if (!step || !it->is_directory(ignored)) continue;
        try {
            out.push_back({*step, read_manifest(it->path()), {}});
        } catch (state_error const& bad) { out.push_back({*step, {}, bad.what()}); }
    }
    if (error && error != std::errc::no_such_file_or_directory)
        throw state_error(message("checkpoint(", root.string(), "): the directory cannot be listed: ", error.message(),
                                  "\n  HINT: it must be a directory that this user can read"));
    auto const key = [](checkpoint_entry const& e) { return std::pair(e.about ? e.about->serial : ~std::uint64_t{0}, e.step); };
    std::ranges::sort(out, std::greater<>{}, key);
    return out;
}

}  // namespace penstock::train
