// Implements: shard_counts, the samples of each shard of a list: from the index, from sizes.json, or by a parallel header scan.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/formats/sizes_json.hpp>   // defines: read_sizes_json
#include <penstock/formats/tar_count.hpp>    // defines: count_samples, for_each_index_parallel

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

struct shard_counts_options {
    int threads = 4;  ///< shards that are scanned at the same time
    /// How one shard is counted, called from these threads; empty: count_samples of the file.
    std::function<std::uint64_t(std::string const& path)> count = {};
    bool use_index = true;       ///< read `penstock-index` beside the shards
    bool use_sizes_json = true;  ///< read open_clip's `sizes.json` beside the first shard, for what the index does not know
    bool write_index = true;     ///< remember what was scanned; where the directory cannot be written, that is left out silently
    /// Before a scan: how many shards and bytes it covers, and why the first of them is not known.
    std::function<void(std::size_t shards, std::uint64_t bytes, std::string const& reason)> before_scan = {};
};

struct shard_counts_result {
    std::vector<std::uint64_t> samples{};  ///< in the order of the list
    std::size_t from_index = 0, from_sizes_json = 0, scanned = 0;
};

/// The samples of each shard, in list order, whatever the number of threads. A shard that sizes.json leaves out, a missing or damaged shard
/// is an error. Counts that were not scanned are checked when the shard is read (tar_options::expected_samples).
inline shard_counts_result shard_counts(std::vector<std::string> const& paths, shard_counts_options const& options = {}) {
    auto result = shard_counts_result{};
    auto known = std::vector<std::optional<std::uint64_t>>(paths.size());
    auto indexes = std::map<std::string, shard_index>{};
    auto first_reason = std::string{};
    auto const index_of = [&](std::string const& directory) -> shard_index& {
        auto const found = indexes.find(directory);
        return found != indexes.end() ? found->second : indexes.emplace(directory, shard_index::read(directory)).first->second;
    };
    for (std::size_t i = 0; options.use_index && i < paths.size(); ++i) {
        auto answer = index_of(shard_index::split(paths[i]).first).look(paths[i]);
        known[i] = answer.samples;
        if (known[i]) ++result.from_index;
        else if (first_reason.empty()) first_reason = std::move(answer.reason);
    }
    if (options.use_sizes_json && result.from_index < paths.size()) {
        auto const side = shard_index::split(paths.front()).first + "sizes.json";
        if (shard_index::stat_of(side)) {
            auto const sizes = read_sizes_json(side);
            for (std::size_t i = 0; i < paths.size(); ++i) {
                if (known[i]) continue;
                auto const found = sizes.find(shard_index::split(paths[i]).second);
                if (found == sizes.end())
                    throw stage_error("shard_counts", fault::content, place{paths[i], {}, {}, {}}, message("is not in ", side), "complete the file, or remove it to have the shards counted");
                known[i] = found->second;
                ++result.from_sizes_json;
            }
        }
    }
    auto missing = std::vector<std::size_t>{};
    auto stats = std::vector<shard_index::entry>(paths.size());
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        if (known[i]) continue;
        missing.push_back(i);
        if (auto const s = shard_index::stat_of(paths[i])) stats[i] = *s;
        bytes += stats[i].bytes;
    }
    if (!missing.empty()) {
        if (options.before_scan) options.before_scan(missing.size(), bytes, first_reason);
        auto counts = std::vector<std::uint64_t>(missing.size());
        detail::for_each_index_parallel(missing.size(), options.threads, [&](std::size_t k) {
            auto const& path = paths[missing[k]];
            counts[k] = options.count ? options.count(path) : count_samples(io::open_file(path));
        });
        for (std::size_t k = 0; k < missing.size(); ++k) {
            auto const i = missing[k];
            known[i] = stats[i].samples = counts[k];
            auto const [directory, base] = shard_index::split(paths[i]);
            if (stats[i].bytes != 0) index_of(directory).set(base, stats[i]);
        }
        result.scanned = missing.size();
        for (auto const& [directory, index] : indexes) {
            if (!options.write_index) break;
            try {
                index.write(directory);
            } catch (stage_error const&) {
                // A read-only data directory is common and harms nothing: the next run scans again.
            }
        }
    }
    for (auto const& n : known) result.samples.push_back(*n);
    return result;
}

}  // namespace penstock
