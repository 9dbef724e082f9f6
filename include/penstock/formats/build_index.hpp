// Implements: build_index and verify_index: the counts, offsets and checksums of many shards, made and compared, shard by shard.
#pragma once

#include <penstock/formats/parallel_shards.hpp>  // defines: for_each_shard
#include <penstock/formats/shard_block.hpp>      // defines: shard_block, shard_index
#include <penstock/formats/shard_progress.hpp>   // defines: shard_progress, progress_meter, progress_sink, note_sink
#include <penstock/formats/tar_marks.hpp>        // defines: mark_samples, check_sample, walk_samples
#include <penstock/io/open_file.hpp>             // defines: open_file
#include <penstock/sources/shard_names.hpp>      // defines: shard_names

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

struct build_index_options {
    bool checksums = false;  ///< read every payload and remember a CRC-32C of each field
    bool again = false;      ///< even where what is there is still right
    int threads = 4;         ///< shards that are read at the same time
    progress_sink progress = {};
    note_sink notes = {};    ///< is told what is replaced, and of samples that are indexed and cannot be read
};

/// What came of one shard.
struct indexed_shard {
    std::string path{};
    std::uint64_t samples = 0, bytes = 0;
    bool kept = false;      ///< it was indexed already, and is unchanged
    std::string problem{};  ///< why it is not indexed, or in what it differs; empty: nothing
    std::uint64_t faulty = 0;           ///< verified: samples with a fault of their own, which are an error when read although the index is right
    std::vector<std::string> faults{};  ///< the first few of them
};

namespace detail {

/// The block of a shard when it is of this very content; without `now` when it is of a shard of this length.
inline std::optional<shard_block> fresh_block(std::string const& path, std::uint64_t bytes, shard_index::entry const* now, std::string* why = nullptr) {
    try {
        return shard_block::read(path, io::file_opener(), bytes, now);
    } catch (stage_error const& e) {
        if (why != nullptr) *why = e.what();
        return std::nullopt;
    }
}

/// Whether a shard has a block with checksums, of whatever content.
inline bool had_checksums(std::string const& path) {
    try {
        return shard_block::there(path) && shard_block::read_heading(*shard_block::open_block(path, io::file_opener())).has_checksums();
    } catch (stage_error const&) {
        return false;
    }
}

}  // namespace detail

/// Indexes local shards: a `.penstock-index` in each directory, and a block per shard. What is there and right is kept, so a run that was
/// killed goes on where it was, and a data set that was copied is remembered anew without being read; files appear only when they are complete.
/// A damaged shard is a problem of that shard, and the others go on; a directory that cannot be written is a stage_error, and so is a file there
/// that bears the name of an index or a block and is none.
inline std::vector<indexed_shard> build_index(shard_names const& names, build_index_options const& options = {}) {
    auto result = std::vector<indexed_shard>(names.size());
    auto indexes = std::map<std::string, shard_index>{};
    auto work = std::vector<std::size_t>{};
    auto stats = std::vector<shard_index::entry>(names.size());
    std::size_t lost = 0;
    auto first_lost = std::string{};
    auto start = shard_progress{.who = "penstock-index", .doing = "indexing", .threads = options.threads};
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto& shard = result[i];
        shard.path = names[i];
        auto const [directory, base] = shard_index::split(shard.path);
        auto const [index, fresh] = indexes.try_emplace(directory);
        if (fresh) {
            index->second = shard_index::read(directory);
            index->second.refuse_foreign();
            if (options.notes && !index->second.problem().empty()) options.notes(index->second.problem() + "; it is written anew");
            if (options.notes && index->second.old_name())
                options.notes(message(shard_index::old_path_in(directory), " is of an older version: what it knows goes into ", shard_index::path_in(directory), ", which is used from now on"));
        }
        auto const now = shard_index::stat_of(shard.path);
        if (!now) {
            shard.problem = shard_index::absence(shard.path) + "\n  HINT: look for the shard and its permissions, or take it off the list";
            continue;
        }
        stats[i] = *now;
        shard.bytes = now->bytes;
        auto const block = options.again ? std::nullopt : detail::fresh_block(shard.path, now->bytes, &*now);
        auto const known = index->second.look(shard.path, now).samples;
        if (block && block->samples() == known.value_or(block->samples()) && (!options.checksums || block->has_checksums())) {
            shard.samples = block->samples();
            shard.kept = true;
            auto const spots = block->shard().spots != 0 ? block->shard().spots : io::spot_sum(*io::open_file(shard.path));  // older versions took none
            auto const marks = shard_index::entry{shard.samples, now->bytes, now->mtime_ns, spots};
            if (index->second.old_name() || index->second.find(base) != marks) index->second.set(base, marks);
            if (block->shard() != marks || !shard_index::stat_of(shard_block::path_of(shard.path))) shard_block::renew(shard.path, marks);
            continue;
        }
        if (!options.checksums && detail::had_checksums(shard.path) && lost++ == 0) first_lost = shard.path;
        work.push_back(i);
        start.bytes += now->bytes;
    }
    if (lost != 0 && options.notes)
        options.notes(message(number_of(lost, "shard"), lost == 1 ? " loses its checksums" : " lose their checksums", ", which are replaced by an index without (--crc makes new ones): ", first_lost, lost == 1 ? "" : ", ..."));
    start.shards = work.size();
    auto const write = [&] {
        for (auto const& [directory, index] : indexes)
            if (index.changed()) index.write(directory);
    };
    if (work.empty()) {
        write();
        return result;
    }
    auto meter = detail::progress_meter(start, options.progress);
    auto guard = std::mutex{};
    using clock = std::chrono::steady_clock;
    auto saved = clock::now();
    auto pause = clock::duration(std::chrono::seconds(2));
    detail::for_each_shard(work.size(), options.threads, [&](std::size_t k) {
        auto& shard = result[work[k]];
        auto& marks = stats[work[k]];
        auto const [directory, base] = shard_index::split(shard.path);
        std::uint64_t faulty = 0;
        try {
            marks.spots = io::spot_sum(*io::open_file(shard.path));
            auto const found = mark_samples(io::open_file(shard.path), options.checksums);
            marks.samples = shard.samples = found.samples;
            faulty = found.faulty;
            found.block.write(shard.path, marks, found.end);
        } catch (stage_error const& e) {
            if (e.stage == "shard_block") throw;  // it could be read, and its block cannot be written
            shard.problem = e.what();
        }
        meter.finished(shard.bytes, shard.samples);
        auto const lock = std::lock_guard(guard);
        if (!shard.problem.empty()) {
            indexes.at(directory).forget(base);
            return;
        }
        if (faulty != 0 && options.notes)
            options.notes(message(shard.path, ": ", number_of(faulty, "sample"), faulty == 1 ? " has a fault and is" : " have faults and are", " an error when read; penstock-doctor names ", faulty == 1 ? "it" : "them"));
        indexes.at(directory).set(base, marks);
        if (clock::now() - saved < pause) return;
        auto const began = clock::now();
        write();
        saved = clock::now();
        pause = (std::max)(pause, 20 * (saved - began));
    });
    write();
    return result;
}

/// Compares shards with their index and blocks, whatever their time of change: the number and place of every sample, and every field with its
/// checksum where there is one; samples with a fault of their own are counted. Reads payloads only then, or with `headers_only` never. Writes nothing.
inline std::vector<indexed_shard> verify_index(shard_names const& names, bool headers_only = false, int threads = 4, progress_sink const& progress = {}) {
    auto result = std::vector<indexed_shard>(names.size());
    auto indexes = std::map<std::string, shard_index>{};
    auto start = shard_progress{.who = "penstock-index", .doing = "verifying", .shards = names.size(), .threads = threads};
    for (std::size_t i = 0; i != names.size(); ++i) {
        result[i].path = names[i];
        auto const directory = shard_index::split(names[i]).first;
        if (auto const [index, fresh] = indexes.try_emplace(directory); fresh) index->second = shard_index::read(directory);
        if (auto const now = shard_index::stat_of(names[i])) start.bytes += result[i].bytes = now->bytes;
    }
    auto meter = detail::progress_meter(start, progress);
    detail::for_each_shard(names.size(), threads, [&](std::size_t i) {
        auto& shard = result[i];
        auto const now = shard_index::stat_of(shard.path);
        auto const& index = indexes.at(shard_index::split(shard.path).first);
        auto const known = index.look(shard.path, now);
        try {
            auto block = std::optional<shard_block>{};
            auto const entry = index.find(shard_index::split(shard.path).second);
            bool const comparable = now && entry && entry->bytes == now->bytes;
            if (!comparable) shard.problem = known.reason;
            else if (!shard_block::there(shard.path)) shard.problem = message(shard.path, " has no block (", shard_block::path_of(shard.path), ")");
            else if (block = detail::fresh_block(shard.path, now->bytes, nullptr, &shard.problem); block) {
                bool const sums = block->has_checksums() && !headers_only;
                detail::walk_samples(io::open_file(shard.path), {.expected_samples = entry->samples}, sums, [&](detail::tar_walker const& walker, std::optional<fields> const& whole) {
                    auto const n = shard.samples++;
                    if (n >= block->samples() || block->offset(n) != walker.first_byte())
                        throw stage_error("penstock-index", fault::content, place{shard.path, whole ? whole->key() : walker.last_key(), walker.first_byte(), {}}, message("sample number ", n, " is not where its block says"), "index the shard again");
                    if (walker.fault() && shard.faulty++ < 3) shard.faults.emplace_back(walker.fault()->what());
                    if (whole) detail::check_sample(*block, n, *whole);
                });
                if (!known.samples && entry->spots != 0) shard.problem = known.reason;  // bytes that are in no field
            }
        } catch (stage_error const& e) {
            shard.problem = e.what();
        }
        meter.finished(shard.bytes, shard.samples);
    });
    return result;
}

}  // namespace penstock
