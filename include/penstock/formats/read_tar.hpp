// Implements: read_tar(), the samples of WebDataset shards, exactly those that the plan gives to this rank.
#pragma once

#include <penstock/core/stage.hpp>               // defines: stage, broken_chain
#include <penstock/formats/shard_block.hpp>      // defines: shard_block
#include <penstock/formats/shard_counts.hpp>     // defines: resolve_counts, shard_counts_options, scan_shards, progress_sink, refuse_shard
#include <penstock/formats/tar_allow.hpp>        // defines: tar_allow, left_out, left_out_log
#include <penstock/formats/tar_count.hpp>        // defines: tar_walker, tar_options, damaged_shard, header_scan_cost
#include <penstock/formats/tar_marks.hpp>        // defines: check_sample
#include <penstock/io/open_file.hpp>             // defines: opener, file_opener, byte_source
#include <penstock/sources/planned_reader.hpp>   // defines: planned_reader, shard_plan, lost_samples, any_number_of_samples

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock {

/// What counting does with a shard that is damaged.
enum class damaged_shards {
    refuse,      ///< building the pipeline fails and names the shard
    read_up_to,  ///< what lies before the damage is planned, and the damage takes one place behind it: there it is thrown, in order
};

struct read_tar_options {
    /// How a name becomes bytes; empty: local files. Called from several threads while counting.
    io::opener io = {};
    damaged_shards damaged = damaged_shards::refuse;
    /// What is left out of a shard, where it would be damage otherwise; see tar_allow.
    tar_allow allow = {};
    /// Remember what was counted in `.penstock-index` beside the shards (not with read_up_to, nor where anything is allowed); a directory that cannot be written is no error.
    bool write_index = true;
    /// Shards counted at the same time.
    int count_threads = 4;
    /// Whether shards that nothing knows the samples of are scanned; names behind an address only when asked.
    scan_shards scan = scan_shards::local;
    /// What is told about a scan, before and while it runs; empty: nothing. Without it, a scan of more than a second writes lines to stderr.
    progress_sink progress = print_progress();
    /// What is told about things that were left out, each kind once; empty: nothing.
    note_sink notes = print_notes();
    /// Compare every field with the CRC-32C that write_tar or `penstock-index build --crc` left beside the shard; a difference costs the sample.
    bool verify = false;
};

namespace detail {

class tar_shard {
public:
    /// `block`: what is known of its samples; `checked`: their fields are compared with it.
    tar_shard(std::shared_ptr<io::byte_source> bytes, tar_options options, std::shared_ptr<left_out_log> log, std::function<std::optional<shard_block>()> block, bool checked)
        : bytes_(bytes), walker_(std::move(bytes), heard(std::move(options), std::move(log))), find_block_(std::move(block)) {
        if (checked) look();
        checked_ = checked;
    }
    tar_shard(tar_shard const&) = delete;  // its walker calls it

    std::optional<fields> next() {
        on_the_way_ = false;
        auto const i = walker_.index();
        auto whole = walker_.next();
        if (whole && checked_) check_sample(*block_, i, *whole);
        return whole;
    }
    bool discard() {
        on_the_way_ = false;
        if (!walker_.discard()) return false;
        if (walker_.fault()) throw damaged_shard(*walker_.fault());
        return true;
    }
    /// Walks, or jumps where a block says how far: a part of a large shard is reached without reading what lies before it.
    std::uint64_t skip(std::uint64_t n) {
        on_the_way_ = true;
        constexpr std::uint64_t worth_a_file = 64;
        if (n >= worth_a_file) {
            look();
            if (auto const to = walker_.index() + n; block_ && block_->seekable() && to < block_->samples()) {
                walker_.jump(to, block_->offset(to));
                return n;
            }
        }
        return walker_.skip(n);
    }
    std::uint64_t index() const { return walker_.index(); }
    void cancel() noexcept { bytes_->cancel(); }

private:
    tar_options heard(tar_options options, std::shared_ptr<left_out_log> log) {
        options.told = [this, log = std::move(log)](left_out const& one) { log->add(one, !on_the_way_); };
        return options;
    }
    void look() {
        if (!std::exchange(looked_, true)) block_ = find_block_();
    }

    bool on_the_way_ = false;  // to the samples of the caller: who reads what is passed counts what it leaves out
    std::shared_ptr<io::byte_source> bytes_;
    tar_walker walker_;
    std::function<std::optional<shard_block>()> find_block_;
    std::optional<shard_block> block_{};
    bool looked_ = false, checked_ = false;
};

struct tar_format {
    using value_type = fields;
    static constexpr char const* stage = "read_tar";

    io::opener io;
    bool local = true;
    bool verify = false;
    tar_allow allow = {};
    std::shared_ptr<left_out_log> log = std::make_shared<left_out_log>("read_tar", note_sink{});

    std::shared_ptr<tar_shard> open(std::string const& path, std::uint64_t samples) const {
        auto bytes = io(path);
        auto const find_block = [open = io, path, size = bytes->size(), here = local, must = verify]() -> std::optional<shard_block> {
            // whatever its time of change: every field is compared anyway
            auto const now = here && !must ? shard_index::stat_of(path) : std::nullopt;
            if (!must && (!here || !shard_block::there(path))) return std::nullopt;
            try {
                auto block = shard_block::read(path, open, size, now ? &*now : nullptr);
                if (must && !block.has_checksums()) throw stage_error("shard_block", fault::content, place{shard_block::path_of(path), {}, {}, {}}, "the block has no checksums", "add them: penstock-index build --crc");
                return block;
            } catch (stage_error const&) {
                if (must) throw;
                return std::nullopt;  // the headers say the same, only slower
            }
        };
        auto how = walking(path, bytes->size());
        if (samples != any_number_of_samples) how.expected_samples = samples;
        return std::make_shared<tar_shard>(std::move(bytes), std::move(how), log, find_block, verify);
    }
    /// How a shard of `size` bytes is walked.
    tar_options walking(std::string const& path, std::uint64_t size) const {
        return {.allow = allow, .told = [log_of_all = log](left_out const& one) { log_of_all->add(one, false); }, .block = longer_block(path, io, local, size)};
    }
    /// For a shard that turns out to be cut: its block from when it was whole.
    static std::function<std::shared_ptr<shard_block const>()> longer_block(std::string const& path, io::opener const& open, bool here, std::uint64_t size) {
        if (!here) return {};
        return [path, open, size] { return shard_block::of_longer(path, open, size); };
    }
    std::string note() const { return log->note(); }
    std::uint64_t left_out_parts() const { return log->lost(); }
    std::string const& key(fields const& f) const { return f.key(); }
    std::uint64_t bytes(fields const& f) const {
        std::uint64_t n = 0;
        for (auto const& one : f.all()) n += one.bytes.size();
        return n;
    }
};

/// How many samples a shard has; with read_up_to a damage counts as one more.
inline std::uint64_t planned_samples(std::string const& path, tar_format const& format, damaged_shards damaged) {
    try {
        auto const source = format.io(path);
        auto walker = tar_walker(source, format.walking(path, source->size()));
        try {
            while (walker.discard()) {}
            return walker.index();
        } catch (damaged_shard const&) {
            if (damaged == damaged_shards::refuse) throw;
            return walker.index() + 1;
        }
    } catch (damaged_shard const& e) {
        refuse_shard(e, "write or copy the shard again, or take it off the list");
    } catch (stage_error const& e) {
        refuse_shard(e, "look for the shard and its permissions, or take it off the list");
    }
}

inline tar_format format_of(read_tar_options const& o) {
    return {.io = o.io ? o.io : io::file_opener(), .local = !o.io, .verify = o.verify, .allow = o.allow, .log = std::make_shared<left_out_log>("read_tar", o.notes)};
}

/// How read_tar finds out what nobody told it.
inline shard_counts_options counting_of(read_tar_options const& o, tar_format const& format) {
    return {.count = [=, damaged = o.damaged](std::string const& path) { return planned_samples(path, format, damaged); },
            .cost = [open = format.io](std::string const& path) { return header_scan_cost(open(path)); },
            .scan = o.scan, .threads = o.count_threads, .local = format.local, .side_files = format.local,
            .write_index = o.write_index && o.damaged == damaged_shards::refuse && !o.allow.any(), .progress = o.progress, .notes = o.notes, .who = "read_tar"};
}

/// Before anything is read: that checksums are there at all.
inline void require_blocks(shard_plan const& plan) {
    for (std::size_t i = 0; i != plan.shards(); ++i)
        if (auto const path = plan.names()[i]; plan.count(i) != 0 && !shard_block::there(path))
            throw config_error(message("read_tar: verify needs the checksums of every shard, and ", path, " has none (", shard_block::path_of(path), ")\n  HINT: penstock-index build --crc 'the shards', or write them with write_tar"));
}

}  // namespace detail

/// The samples of tar shards: files that follow each other and share a key are one sample. Yields `sample`, that is keyed<fields>. What no sample
/// gets is damage, or allowed, see tar_allow; directories, labels, names of the form __x__ and what Macs add (._x, .DS_Store) are passed over.
///
/// Order    the plan's line: shards in the order of the pass, samples as they lie in the shard
/// Buffers  one sample; one shard is open
/// Resume   exact: what this rank still has to read as intervals of the line; loading walks the headers of one shard, or jumps by its block
/// Threads  none; counting, while the chain is built, uses count_threads, and only for shards that no caller, index or side file knows
/// Errors   config_error for a shard that cannot be opened or counted, and for no samples at all; lost_samples for damage, a shard with fewer or
///          more samples than planned, a field that is not what was indexed (verify), I/O: it names shard, key, byte and the ids that are lost,
///          and the next call goes on behind them
///
///     shard_list("train-{000..001}.tar") | shuffle_shards() | read_tar()
inline auto read_tar(read_tar_options options = {}) {
    if (options.count_threads < 1) throw config_error(message("read_tar: count_threads must be >= 1, got ", options.count_threads, "\n  HINT: 1 counts one shard after the other"));
    return plan_stage("read_tar", [options = std::move(options)]<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "read_tar() reads a list of shards, but what stands before it yields items. HINT: put shard_list(...) before it");
        if constexpr (ok) {
            auto const format = detail::format_of(options);
            auto const counted = resolve_counts(plan, detail::counting_of(options, format));
            if (options.verify && format.local) detail::require_blocks(counted);
            return planned_reader<detail::tar_format>(counted, format);
        } else return broken_chain{};
    });
}

}  // namespace penstock
