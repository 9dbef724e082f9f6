// Implements: shard_counts, the samples of each shard of a plan: from the caller, an index, another tool's side file, else by a header scan.
#pragma once

#include <penstock/core/errors.hpp>              // defines: config_error, stage_error, message
#include <penstock/formats/json_counts.hpp>      // defines: read_sizes_json, read_energon_info
#include <penstock/formats/parallel_shards.hpp>  // defines: for_each_shard
#include <penstock/formats/shard_index.hpp>      // defines: shard_index
#include <penstock/formats/shard_progress.hpp>   // defines: shard_progress, progress_meter, print_progress
#include <penstock/formats/side_index.hpp>       // defines: side_index
#include <penstock/formats/tar_count.hpp>        // defines: count_samples, header_scan_cost
#include <penstock/io/locked_file.hpp>           // defines: lock_file
#include <penstock/sources/shard_plan.hpp>       // defines: shard_plan, shard_names

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Whether shards that nothing tells about are counted by reading their headers.
enum class scan_shards {
    local,   ///< files of this machine are, names with :// are refused: a scan could cost more than an epoch
    always,  ///< both are
    never,   ///< both are refused
};

struct shard_counts_options {
    /// How the format counts a shard, called from `threads` threads; empty: a tar file.
    std::function<std::uint64_t(std::string const& path)> count = {};
    /// Seconds a scan takes per byte, tried on one shard; for the estimate.
    std::function<std::optional<double>(std::string const& path)> cost = {};
    scan_shards scan = scan_shards::local;
    int threads = 4;           ///< shards that are scanned at the same time
    bool local = true;         ///< names are paths of this machine: shards can be looked up, and side files stand beside them
    bool side_files = true;    ///< believe our index, Energon's and DALI's indexes, .nv-meta/.info.json and sizes.json
    bool write_index = true;   ///< remember what was scanned; where the directory cannot be written, that is left out silently
    progress_sink progress = print_progress();
    char const* who = "shard_counts";  ///< the stage to name
};

struct shard_counts_result {
    std::vector<std::uint64_t> samples{};  ///< in the order of the list
    std::size_t from_index = 0, from_side_files = 0, scanned = 0;
};

namespace detail {

/// A failure while a chain is built: a config_error that keeps the failure's own words, and has it nested. `hint` is for one that has none,
/// and of a shard that can be left out.
[[noreturn]] inline void refuse_shard(stage_error const& e, std::string_view hint = {}) {
    auto const text = std::string(e.what());
    if (hint.empty()) std::throw_with_nested(config_error(text));
    bool const says_what_to_do = text.find("\n  HINT: ") != text.npos;
    std::throw_with_nested(config_error(says_what_to_do ? message(text, "; or take it off the list") : message(text, "\n  HINT: ", hint)));
}

/// The turn to scan the shards of a directory: one process has it at a time, and waits for it here. Where the directory cannot be written
/// every process scans for itself.
class counting_turn {
public:
    counting_turn(std::string const& shard, char const* who) : path_(shard_index::split(shard).first + ".penstock-counting") {
        try {
            held_.emplace(io::lock_file(path_, who, io::if_busy::wait));
        } catch (stage_error const&) {
        }
    }
    counting_turn(counting_turn const&) = delete;
    ~counting_turn() {
        if (held_) ::unlink(path_.c_str());  // while it is held, so that nobody else's file is removed
    }

private:
    std::string path_;
    std::optional<io::file_handle> held_;
};

/// Indexes of the directories of a list, each read once.
class index_set {
public:
    shard_index& of(std::string const& directory) {
        auto const [at, fresh] = all_.try_emplace(directory);
        if (fresh) at->second = shard_index::read(directory);
        return at->second;
    }
    void forget() { all_.clear(); }
    /// Only what was changed since is put into the files.
    void write() const {
        for (auto const& [directory, index] : all_) {
            try {
                if (index.changed()) index.write(directory);
            } catch (stage_error const&) {
                // A read-only data directory is common and harms nothing: the next run scans again.
            }
        }
    }

private:
    std::map<std::string, shard_index> all_{};
};

/// Counts of a whole data set in one JSON file: Energon's .nv-meta in a directory above the shards, or sizes.json beside the first one.
class json_side_file {
public:
    explicit json_side_file(std::string const& first_shard) {
        auto directory = shard_index::split(first_shard).first;
        if (auto const side = directory + "sizes.json"; shard_index::stat_of(side)) {
            path_ = side;
            counts_ = read_sizes_json(side);
            return;
        }
        for (int up = 0; up != 4; ++up) {
            if (auto const side = directory + ".nv-meta/.info.json"; shard_index::stat_of(side)) {
                path_ = side;
                root_ = directory;
                counts_ = read_energon_info(side);
                return;
            }
            if (directory.empty() || directory == "/") return;
            directory = shard_index::split(directory.substr(0, directory.size() - 1)).first;
        }
    }
    bool there() const { return !path_.empty(); }
    std::uint64_t of(std::string const& shard, char const* who) const {
        auto const name = root_ ? std::string(shard.substr((std::min)(root_->size(), shard.size()))) : shard_index::split(shard).second;
        auto const found = counts_.find(name);
        if (found == counts_.end()) throw stage_error(who, fault::content, place{shard, {}, {}, {}}, message("is not in ", path_), "complete the file, or remove it to have the shards counted");
        return found->second;
    }

private:
    std::string path_{};
    std::optional<std::string> root_{};
    std::map<std::string, std::uint64_t> counts_{};
};

}  // namespace detail

/// The samples of each shard, in list order, whatever the number of threads. Counts that were not scanned are checked when the shard is read.
/// What is scanned is remembered in the index as it goes, so a scan that was killed goes on where it was; processes that scan the same
/// directory wait for the first of them. stage_error for a damaged or missing shard, or one that a JSON side file leaves out;
/// config_error where a scan would be needed and is not wanted.
inline shard_counts_result shard_counts(shard_names const& names, shard_counts_options options = {}) {
    if (options.threads < 1) throw config_error(message(options.who, ": threads must be >= 1, got ", options.threads, "\n  HINT: 1 reads one shard after the other"));
    if (!options.count) options.count = [](std::string const& path) { return count_samples(io::open_file(path)); };
    constexpr auto unknown = ~std::uint64_t{0};
    auto result = shard_counts_result{};
    result.samples.assign(names.size(), unknown);
    auto indexes = detail::index_set{};
    auto first_reason = std::string{};
    auto const look = [&](std::size_t i) {
        auto const path = names[i];
        auto answer = indexes.of(shard_index::split(path).first).look(path);
        if (answer.samples) {
            result.samples[i] = *answer.samples;
            ++result.from_index;
            return;
        }
        if (first_reason.empty()) first_reason = std::move(answer.reason);
    };
    auto const is_unknown = [&](std::size_t i) { return result.samples[i] == unknown; };
    if (options.local && options.side_files) {
        for (std::size_t i = 0; i != names.size(); ++i) look(i);
        for (std::size_t i = 0; i != names.size(); ++i) {
            if (!is_unknown(i)) continue;
            auto const answer = side_index::look(names[i]);
            if (answer.samples) {
                result.samples[i] = *answer.samples;
                ++result.from_side_files;
            } else if (!answer.reason.empty()) first_reason = answer.reason;
        }
        if (result.from_index + result.from_side_files < names.size()) {
            auto const side = detail::json_side_file(names[0]);
            for (std::size_t i = 0; side.there() && i != names.size(); ++i) {
                if (!is_unknown(i)) continue;
                result.samples[i] = side.of(names[i], options.who);
                ++result.from_side_files;
            }
        }
    }

    auto missing = std::vector<std::size_t>{};
    for (std::size_t i = 0; i != names.size(); ++i)
        if (is_unknown(i)) missing.push_back(i);
    if (missing.empty()) return result;
    auto const first = names[missing.front()];
    auto const far = std::find_if(missing.begin(), missing.end(), [&](std::size_t i) { return names[i].find("://") != std::string::npos; });
    if (options.scan == scan_shards::never || (options.scan == scan_shards::local && far != missing.end()))
        throw config_error(message(options.who, ": the number of samples of ", missing.size(), " shards is not known, the first is ", options.scan == scan_shards::never ? first : names[*far],
                                   options.scan == scan_shards::never ? ", and scan is never" : ", and shards behind an address are not scanned unless it is asked for",
                                   "\n  HINT: give samples_per_shard or counts to shard_list, or .scan = scan_shards::always"));

    auto turn = std::optional<detail::counting_turn>{};
    if (options.local && options.write_index) {
        turn.emplace(first, options.who);
        if (options.side_files) {
            indexes.forget();  // another process may have scanned while we waited
            for (auto const i : missing) look(i);
            std::erase_if(missing, [&](std::size_t i) { return !is_unknown(i); });
            if (missing.empty()) return result;
        }
    }

    auto stats = std::vector<shard_index::entry>(missing.size());
    auto start = shard_progress{.who = options.who, .doing = "counting", .reason = first_reason, .shards = missing.size(), .threads = options.threads};
    for (std::size_t k = 0; k != missing.size() && options.local; ++k) {
        if (auto const s = shard_index::stat_of(names[missing[k]])) stats[k] = *s;
        start.bytes += stats[k].bytes;
    }
    if (options.progress && options.cost && start.bytes > (64 << 20))
        if (auto const per_byte = options.cost(names[missing.front()]))
            start.estimate = *per_byte * static_cast<double>(start.bytes) / static_cast<double>((std::min)(static_cast<std::size_t>(options.threads), missing.size()));
    auto meter = detail::progress_meter(start, options.progress);
    auto guard = std::mutex{};
    using clock = std::chrono::steady_clock;
    auto saved = clock::now();
    auto pause = clock::duration(std::chrono::seconds(2));
    bool const remember = options.local && options.write_index;
    auto const scan = [&](std::size_t k) {
        auto const i = missing[k];
        auto const path = names[i];
        auto const n = options.count(path);
        meter.finished(stats[k].bytes, n);
        auto const lock = std::lock_guard(guard);
        result.samples[i] = stats[k].samples = n;
        if (!remember || stats[k].bytes == 0) return;
        auto const [directory, base] = shard_index::split(path);
        indexes.of(directory).set(base, stats[k]);
        if (clock::now() - saved < pause) return;
        auto const began = clock::now();
        indexes.write();
        saved = clock::now();
        pause = (std::max)(pause, 20 * (saved - began));  // writing stays below 5 % of the time
    };
    try {
        detail::for_each_shard(missing.size(), options.threads, scan);
    } catch (...) {
        if (remember) indexes.write();  // the shards before it need not be scanned again
        throw;
    }
    result.scanned = missing.size();
    if (remember) indexes.write();
    return result;
}

/// `plan` with the number of samples of every shard. A local shard that is not there is a config_error, and so is a count of the caller that
/// the index of the unchanged shard contradicts. Lists of more than 100,000 shards whose counts the caller gave are taken on trust: a missing
/// shard or a wrong count is noticed in its turn.
inline shard_plan resolve_counts(shard_plan const& plan, shard_counts_options const& options) {
    auto const& names = plan.names();
    auto const missing = [&](std::string const& path) {
        throw config_error(message(options.who, ": ", shard_index::absence(path), "\n  HINT: look for the shard, or take it off the list"));
    };
    auto const here = [&](std::string const& path) { return options.local && path.find("://") == path.npos; };
    if (!plan.counted()) {
        for (std::size_t i = 0; i != names.size(); ++i)
            if (auto const path = names[i]; here(path) && !shard_index::stat_of(path)) missing(path);
        try {
            return plan.with_counts(shard_counts(names, options).samples);
        } catch (stage_error const& e) {
            detail::refuse_shard(e);
        }
    }
    constexpr std::size_t most_checked = 100'000;
    if (names.size() > most_checked || !options.local) return plan;
    auto indexes = detail::index_set{};
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto const path = names[i];
        if (!here(path)) continue;
        auto const now = shard_index::stat_of(path);
        if (!now) missing(path);
        auto const directory = shard_index::split(path).first;
        auto const indexed = indexes.of(directory).look(path, now).samples;
        if (indexed && *indexed != plan.count(i))
            throw config_error(message(options.who, ": ", path, ": the plan says ", plan.count(i), " samples, the index beside it ", *indexed,
                                       "\n  HINT: leave samples_per_shard and counts out, or remove ", shard_index::path_in(directory)));
    }
    return plan;
}

}  // namespace penstock
