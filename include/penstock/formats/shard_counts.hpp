// Implements: shard_counts, the samples of each shard of a plan: from the caller, an index, another tool's side file, else by a header scan.
#pragma once

#include <penstock/core/errors.hpp>              // defines: config_error, stage_error, message
#include <penstock/formats/json_counts.hpp>      // defines: json_side_files
#include <penstock/formats/parallel_shards.hpp>  // defines: for_each_shard
#include <penstock/formats/shard_index.hpp>      // defines: shard_index
#include <penstock/formats/shard_progress.hpp>   // defines: shard_progress, progress_meter, print_progress, note_sink, print_notes
#include <penstock/formats/side_index.hpp>       // defines: side_index
#include <penstock/formats/tar_count.hpp>        // defines: count_samples, header_scan_cost
#include <penstock/io/locked_file.hpp>           // defines: directory_lock, if_busy
#include <penstock/sources/shard_plan.hpp>       // defines: shard_plan, shard_names

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
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
    bool write_index = true;   ///< remember what was scanned or found moved; where the directory cannot be written, it is scanned again next time
    progress_sink progress = print_progress();
    note_sink notes = print_notes();  ///< is told of shards that a JSON file lists and that are not there
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
    std::throw_with_nested(config_error(e.hint.empty() ? message(text, "\n  HINT: ", hint) : message(text, "; or take it off the list")));
}

/// The turn to scan the shards of a directory: one process has it at a time, and waits for it here. Where the directory cannot be written
/// every process scans for itself.
class counting_turn {
public:
    counting_turn(std::string const& shard, char const* who) {
        try {
            held_.emplace(shard_index::split(shard).first + ".penstock-counting", who, io::if_busy::wait);
        } catch (stage_error const&) {
        }
    }

private:
    std::optional<io::directory_lock> held_;
};

/// Indexes of the directories of a list, each read once.
class index_set {
public:
    shard_index& of(std::string const& directory) {
        auto const [at, fresh] = all_.try_emplace(directory);
        if (fresh) at->second = shard_index::read(directory);
        return at->second;
    }
    /// One that was read already; from several threads.
    shard_index const& known(std::string const& directory) const { return all_.at(directory); }
    void forget() { all_.clear(); }
    /// Only what was changed since is put into the files. stage_error where a foreign file bears the name of an index.
    void write() const {
        for (auto const& [directory, index] : all_) {
            try {
                if (index.changed()) index.write(directory);
            } catch (stage_error const& e) {
                if (e.kind != fault::io) throw;
                // A read-only data directory is common and harms nothing: the next run scans again.
            }
        }
    }

private:
    std::map<std::string, shard_index> all_{};
};

/// stage_error when a shard of which `says` claims that it is empty has samples: no reader would ever open it and find out.
inline void check_empty(shard_names const& names, std::vector<std::size_t> const& shards, std::vector<std::string> const& says, shard_counts_options const& options, std::string_view hint) {
    for_each_shard(shards.size(), options.threads, [&](std::size_t k) {
        auto const path = names[shards[k]];
        if (auto const n = options.count(path); n != 0)
            throw stage_error(options.who, fault::content, place{path, {}, {}, {}}, message("index_mismatch: ", says[k], " says 0 samples, the shard has ", n), hint);
    });
}

/// One note for each JSON file that lists shards which are neither in the list nor on disk: a data set that was not downloaded to its end looks so.
inline void tell_absent(shard_names const& names, json_side_files const& json, shard_counts_options const& options) {
    if (json.all().empty()) return;
    auto listed = std::set<std::string>{};
    for (std::size_t i = 0; i != names.size(); ++i) listed.insert(names[i]);
    for (auto const& [path, side] : json.all()) {
        std::size_t absent = 0;
        auto first = std::string{};
        for (auto const& [name, samples] : side.counts) {
            auto const shard = side.root + name;
            if (listed.contains(shard) || shard_index::stat_of(shard)) continue;
            if (absent++ == 0) first = shard;
        }
        if (absent != 0) options.notes(message(options.who, ": ", path, " lists ", number_of(absent, "shard"), absent == 1 ? " that is" : " that are", " not there: ", first, absent == 1 ? "" : ", ..."));
    }
}

}  // namespace detail

/// The samples of each shard, in list order, whatever the number of threads. Counts that were not scanned are checked when the shard is read,
/// and those of 0, which nobody would read, now. Of a shard that was copied the spots are read (see shard_index), and the index remembers it anew.
/// What is scanned is remembered in the index as it goes, so a scan that was killed goes on where it was; processes that scan the same
/// directory wait for the first of them. stage_error for a damaged or missing shard, one that a JSON side file leaves out or calls empty, and for
/// a foreign file that bears the name of the index; config_error where a scan would be needed and is not wanted.
inline shard_counts_result shard_counts(shard_names const& names, shard_counts_options options = {}) {
    if (options.threads < 1) throw config_error(message(options.who, ": threads must be >= 1, got ", options.threads, "\n  HINT: 1 reads one shard after the other"));
    if (!options.count) options.count = [](std::string const& path) { return count_samples(io::open_file(path)); };
    constexpr auto unknown = ~std::uint64_t{0};
    auto result = shard_counts_result{};
    result.samples.assign(names.size(), unknown);
    auto indexes = detail::index_set{};
    auto first_reason = std::string{};
    bool const remember = options.local && options.write_index;
    auto const is_unknown = [&](std::size_t i) { return result.samples[i] == unknown; };
    auto const look = [&](std::vector<std::size_t> const& shards) {
        for (auto const i : shards) indexes.of(shard_index::split(names[i]).first);
        auto guard = std::mutex{};
        auto moved = std::map<std::size_t, shard_index::entry>{};
        auto reason = std::pair(shards.size(), std::string{});
        detail::for_each_shard(shards.size(), options.threads, [&](std::size_t k) {
            auto const path = names[shards[k]];
            auto answer = indexes.known(shard_index::split(path).first).look(path);
            result.samples[shards[k]] = answer.samples.value_or(unknown);
            if (answer.samples && !answer.moved) return;
            auto const lock = std::lock_guard(guard);
            if (answer.moved) moved.emplace(shards[k], *answer.moved);
            else if (k < reason.first) reason = {k, std::move(answer.reason)};
        });
        for (auto const i : shards) result.from_index += is_unknown(i) ? 0 : 1;
        for (auto const& [i, now] : moved) indexes.of(shard_index::split(names[i]).first).set(shard_index::split(names[i]).second, now);
        if (first_reason.empty()) first_reason = std::move(reason.second);
        if (remember) indexes.write();
    };
    if (options.local && options.side_files) {
        auto all = std::vector<std::size_t>(names.size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        look(all);
        auto empty = std::vector<std::size_t>{};
        auto says = std::vector<std::string>{};
        auto const believe = [&](std::size_t i, std::uint64_t n, std::string const& who) {
            result.samples[i] = n;
            ++result.from_side_files;
            if (n != 0) return;
            empty.push_back(i);
            says.push_back(who);
        };
        auto json = detail::json_side_files{};
        for (std::size_t i = 0; i != names.size(); ++i) {
            if (!is_unknown(i)) continue;
            auto const path = names[i];
            auto const answer = side_index::look(path);
            if (answer.samples) {
                believe(i, *answer.samples, "the index beside it");
                continue;
            }
            if (!answer.reason.empty()) first_reason = answer.reason;
            auto const* const side = json.beside(shard_index::split(path).first);
            if (side == nullptr) continue;
            auto const found = side->counts.find(path.substr(side->root.size()));
            if (found == side->counts.end()) throw stage_error(options.who, fault::content, place{path, {}, {}, {}}, message("is not in ", side->path), "complete the file, or remove it to have the shards counted");
            believe(i, found->second, side->path);
        }
        detail::check_empty(names, empty, says, options, "correct the count, or remove that file to have the shards counted");
        if (options.notes) detail::tell_absent(names, json, options);
    }

    auto missing = std::vector<std::size_t>{};
    for (std::size_t i = 0; i != names.size(); ++i)
        if (is_unknown(i)) missing.push_back(i);
    if (missing.empty()) return result;
    auto const first = names[missing.front()];
    auto const far = std::find_if(missing.begin(), missing.end(), [&](std::size_t i) { return names[i].find("://") != std::string::npos; });
    if (options.scan == scan_shards::never || (options.scan == scan_shards::local && far != missing.end()))
        throw config_error(message(options.who, ": the number of samples of ", number_of(missing.size(), "shard"), " is not known, the first is ", options.scan == scan_shards::never ? first : names[*far],
                                   options.scan == scan_shards::never ? ", and scan is never" : ", and shards behind an address are not scanned unless it is asked for",
                                   options.local && options.scan != scan_shards::never
                                       ? "\n  HINT: files of this machine are read; copy or mount the shards, or give the reader what opens addresses, {.io = ...}"
                                       : "\n  HINT: give samples_per_shard or counts to shard_list, or .scan = scan_shards::always"));

    auto turn = std::optional<detail::counting_turn>{};
    if (remember) {
        for (auto const i : missing) indexes.of(shard_index::split(names[i]).first).refuse_foreign();
        turn.emplace(first, options.who);
        if (options.side_files) {
            indexes.forget();  // another process may have scanned while we waited
            look(missing);
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
    auto const scan = [&](std::size_t k) {
        auto const i = missing[k];
        auto const path = names[i];
        if (remember && stats[k].bytes != 0) stats[k].spots = io::spot_sum(*io::open_file(path));
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
/// the index of the unchanged shard contradicts, or that is 0 for a shard with samples. Lists of more than 100,000 shards whose counts the caller
/// gave are taken on trust but for those of 0: a missing shard or a wrong count is noticed in its turn.
inline shard_plan resolve_counts(shard_plan const& plan, shard_counts_options options) {
    auto const& names = plan.names();
    auto const missing = [&](std::string const& path) {
        throw config_error(message(options.who, ": ", shard_index::absence(path), "\n  HINT: look for the shard, or take it off the list"));
    };
    auto const here = [&](std::string const& path) { return options.local && path.find("://") == path.npos; };
    if (plan.part().rank != 0) options.notes = {};  // one rank is enough
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
    auto indexes = detail::index_set{};
    auto empty = std::vector<std::size_t>{};
    for (std::size_t i = 0; i != names.size(); ++i) {
        if (plan.count(i) == 0) empty.push_back(i);
        auto const path = names.size() <= most_checked && options.local ? names[i] : std::string{};
        if (path.empty() || !here(path)) continue;
        auto const now = shard_index::stat_of(path);
        if (!now) missing(path);
        auto const [directory, base] = shard_index::split(path);
        auto const indexed = indexes.of(directory).find(base);
        if (indexed && indexed->same_file(*now) && indexed->samples != plan.count(i))
            throw config_error(message(options.who, ": ", path, ": the plan says ", number_of(plan.count(i), "sample"), ", the index beside it ", indexed->samples,
                                       "\n  HINT: leave samples_per_shard and counts out, or remove ", shard_index::path_in(directory)));
    }
    if (!options.count) options.count = [](std::string const& path) { return count_samples(io::open_file(path)); };
    try {
        detail::check_empty(names, empty, std::vector<std::string>(empty.size(), "the plan"), options, "leave samples_per_shard and counts out");
    } catch (stage_error const& e) {
        detail::refuse_shard(e);
    }
    return plan;
}

}  // namespace penstock
