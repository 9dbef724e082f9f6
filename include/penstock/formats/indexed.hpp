// Implements: indexed(), the samples of WebDataset shards in an order over all of them, each fetched by where it lies.
#pragma once

#include <penstock/core/stage.hpp>              // defines: plan_stage, broken_chain
#include <penstock/formats/tar_places.hpp>      // defines: tar_places, scan_shards, progress_sink
#include <penstock/io/open_file.hpp>            // defines: opener, file_opener
#include <penstock/sources/indexed_reader.hpp>  // defines: indexed_reader, shard_plan

#include <cstddef>
#include <type_traits>
#include <utility>

namespace penstock {

struct indexed_options {
    /// Another order of all samples in every pass; false: the order of the shards, or that of shuffle_shards.
    bool shuffle = true;
    /// Shards that stay open: each takes at most 8 KiB, and with `io` a connection; local files share the descriptors of the process (descriptor_pool).
    std::size_t open_shards = 128;
    /// How a name becomes bytes; empty: local files. Called from several threads while shards are indexed.
    io::opener io = {};
    /// What is left out of a shard, where it would be damage otherwise; see tar_allow.
    tar_allow allow = {};
    /// Write the block of a shard that had none beside it; a directory that cannot be written is no error, the block is then held, 8 bytes per sample,
    /// as that of a shard that is whole only by `allow`.
    bool write_index = true;
    /// Shards indexed at the same time.
    int index_threads = 4;
    /// Whether shards without a block are scanned; names behind an address only when asked.
    scan_shards scan = scan_shards::local;
    /// What is told about a scan, before and while it runs; empty: nothing.
    progress_sink progress = print_progress();
    /// What is told about things that were left out, each kind once; empty: nothing.
    note_sink notes = print_notes();
    /// Compare every field with the CRC-32C that write_tar or `penstock-index build --crc` left in the block; a difference costs the sample.
    bool verify = false;
};

/// The samples of tar shards, each fetched on its own by the block of its shard: a true global shuffle where a seek is cheap (local files, page
/// cache). Dealt one by one: of each pass rank r of W has the samples r, r + W, r + 2W, ..., so that B per rank and step are the same W * B samples
/// in every world that divides the global batch alike. Yields `sample`, as read_tar does, of the same fields and by the same rules.
///
/// Order    a permutation of all samples of the pass by (seed, pass) alone, without a table; or that of the shards
/// Buffers  one sample; open_shards shards are open with their blocks, local ones over at most 64 descriptors in the whole process
/// Resume   exact, one number. In another world by the ledger: some bytes in a file, in memory 16 per sample of this rank in the epoch
/// Threads  none; index_threads while the chain is built, for shards without a block
/// Errors   config_error for a shard that cannot be opened or indexed, or has a global pax header, and for no samples at all; lost_samples for damage,
///          a shard that changed, a field that is not what was indexed (verify), I/O: each costs its one sample, and the next call goes on behind it
///
///     shard_list("train-{000..001}.tar") | indexed()
inline auto indexed(indexed_options options = {}) {
    if (options.index_threads < 1) throw config_error(message("indexed: index_threads must be >= 1, got ", options.index_threads, "\n  HINT: 1 indexes one shard after the other"));
    if (options.open_shards < 1) throw config_error(message("indexed: open_shards must be >= 1, got ", options.open_shards, "\n  HINT: 1 opens a shard for nearly every sample; leave it out"));
    return plan_stage("indexed", [options = std::move(options)]<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "indexed() reads a list of shards, but what stands before it yields items. HINT: put shard_list(...) before it");
        if constexpr (ok) {
            auto places = detail::tar_places({.io = options.io ? options.io : io::file_opener({.access = io::file_access::pooled}), .local = !options.io, .allow = options.allow, .notes = options.notes,
                                              .write_index = options.write_index, .verify = options.verify, .threads = options.index_threads, .scan = options.scan, .progress = options.progress});
            auto const placed = places.place(plan);
            return indexed_reader<detail::tar_places>(placed, std::move(places), options.shuffle, options.open_shards);
        } else return broken_chain{};
    });
}

}  // namespace penstock
