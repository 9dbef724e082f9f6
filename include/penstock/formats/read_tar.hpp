// Implements: read_tar(), the samples of WebDataset shards, exactly those that the plan gives to this rank.
#pragma once

#include <penstock/core/stage.hpp>               // defines: stage, broken_chain
#include <penstock/formats/plan_counts.hpp>      // defines: resolve_counts, count_plan_options, refuse_shard
#include <penstock/formats/tar_count.hpp>        // defines: count_samples, tar_walker, tar_options, damaged_shard
#include <penstock/io/open_file.hpp>             // defines: opener, file_opener, byte_source
#include <penstock/sources/planned_reader.hpp>   // defines: planned_reader, shard_plan, lost_samples

#include <cstdint>
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
    /// A shard that ends between two members, without the end marker, is whole.
    bool allow_missing_end = false;
    /// Remember what was counted in `penstock-index` beside the shards (not with read_up_to); a directory that cannot be written is no error.
    bool write_index = true;
    /// Shards counted at the same time.
    int count_threads = 4;
};

namespace detail {

class tar_shard {
public:
    tar_shard(std::shared_ptr<io::byte_source> bytes, tar_options options) : bytes_(bytes), walker_(std::move(bytes), options) {}

    std::optional<fields> next() { return walker_.next(); }
    bool discard() {
        if (!walker_.discard()) return false;
        if (walker_.fault()) throw damaged_shard(*walker_.fault());
        return true;
    }
    std::uint64_t skip(std::uint64_t n) { return walker_.skip(n); }
    std::uint64_t index() const { return walker_.index(); }
    void cancel() noexcept { bytes_->cancel(); }

private:
    std::shared_ptr<io::byte_source> bytes_;
    tar_walker walker_;
};

struct tar_format {
    using value_type = fields;
    static constexpr char const* stage = "read_tar";

    io::opener io;
    bool allow_missing_end = false;

    std::shared_ptr<tar_shard> open(std::string const& path, std::uint64_t samples) const {
        return std::make_shared<tar_shard>(io(path), tar_options{.allow_missing_end = allow_missing_end, .expected_samples = samples});
    }
    std::string const& key(fields const& f) const { return f.key(); }
    std::uint64_t bytes(fields const& f) const {
        std::uint64_t n = 0;
        for (auto const& one : f.all()) n += one.bytes.size();
        return n;
    }
};

/// How many samples a shard has; with read_up_to a damage counts as one more.
inline std::uint64_t planned_samples(std::string const& path, io::opener const& open, read_tar_options const& o) {
    auto const options = tar_options{.allow_missing_end = o.allow_missing_end};
    try {
        auto const source = open(path);
        try {
            return count_samples(source, options);
        } catch (damaged_shard const&) {
            if (o.damaged == damaged_shards::refuse) throw;
        }
        auto walker = tar_walker(source, options);
        try {
            while (walker.discard()) {}
            return walker.index();  // a key that comes back: every sample can be read
        } catch (damaged_shard const&) {
            return walker.index() + 1;
        }
    } catch (damaged_shard const& e) {
        refuse_shard(e, "write or copy the shard again, or take it off the list");
    } catch (stage_error const& e) {
        refuse_shard(e, "look for the shard and its permissions, or take it off the list");
    }
}

}  // namespace detail

/// The samples of tar shards: files that follow each other and share a key are one sample. Yields `sample`, that is keyed<fields>.
///
/// Order    the plan's line: shards in the order of the pass, samples as they lie in the shard
/// Buffers  one sample; one shard is open
/// Resume   exact: what this rank still has to read as intervals of the line; loading walks the headers of one shard
/// Threads  none; counting, while the chain is built, uses count_threads, and only for shards that no index and no caller knows
/// Errors   config_error for a shard that cannot be opened or counted, and for no samples at all; lost_samples for damage, a shard with fewer or
///          more samples than planned, I/O: it names shard, key, byte and the ids that are lost, and the next call goes on behind them
///
///     shard_list("train-{000..001}.tar") | shuffle_shards() | read_tar()
inline auto read_tar(read_tar_options options = {}) {
    if (options.count_threads < 1) throw config_error(message("read_tar: count_threads must be >= 1, got ", options.count_threads, "\n  HINT: 1 counts one shard after the other"));
    return plan_stage("read_tar", [options = std::move(options)]<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "read_tar() reads a list of shards, but what stands before it yields items. HINT: put shard_list(...) before it");
        if constexpr (ok) {
            auto const open = options.io ? options.io : io::file_opener();
            auto const counting = count_plan_options{.local = !options.io, .write_index = options.write_index && options.damaged == damaged_shards::refuse, .threads = options.count_threads};
            auto const counted = resolve_counts(plan, "read_tar", counting, [&](std::string const& path) { return detail::planned_samples(path, open, options); });
            return planned_reader<detail::tar_format>(counted, detail::tar_format{open, options.allow_missing_end});
        } else return broken_chain{};
    });
}

}  // namespace penstock
