// Implements: tar_places, the samples of tar shards by number: where each begins, from the block of its shard, and one scan where there is none.
#pragma once

#include <penstock/core/errors.hpp>              // defines: config_error, stage_error, message
#include <penstock/formats/parallel_shards.hpp>  // defines: for_each_shard
#include <penstock/formats/shard_block.hpp>      // defines: shard_block, shard_index
#include <penstock/formats/shard_counts.hpp>     // defines: scan_shards, counting_turn, index_set, refuse_shard, header_scan_cost
#include <penstock/formats/shard_progress.hpp>   // defines: progress_meter, progress_sink, note_sink
#include <penstock/formats/tar_allow.hpp>        // defines: tar_allow, left_out_log
#include <penstock/formats/tar_marks.hpp>        // defines: mark_samples, check_sample
#include <penstock/sources/shard_plan.hpp>       // defines: shard_plan

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace penstock::detail {

/// One open shard: reads any of its samples as read_tar would. The places come from the block, sample by sample (8 bytes each in the page
/// cache), or from one that is held; what lies there must be one sample that ends where the next one begins.
class tar_at_random {
public:
    /// `block`: the file of places, if it is not held; `find`: called before the first sample, tells what is held of it, and throws if it does
    /// not fit the shard. Not before, because a read that waits can only be cancelled in a shard that is there.
    tar_at_random(std::shared_ptr<io::byte_source> bytes, std::shared_ptr<io::byte_source> block, std::function<std::shared_ptr<shard_block const>()> find, tar_options options)
        : bytes_(bytes), block_(std::move(block)), find_(std::move(find)), walker_(std::move(bytes), std::move(options)) {}

    fields read(std::uint64_t i) {
        auto const end = jump(i);
        auto whole = walker_.next();
        compare(i, end, whole.has_value());
        if (held_ && held_->has_checksums()) check_sample(*held_, i, *whole);
        return std::move(*whole);
    }
    void check(std::uint64_t i) {
        auto const end = jump(i);
        bool const there = walker_.discard();
        compare(i, end, there);
        if (walker_.fault()) throw damaged_shard(*walker_.fault());
    }
    void cancel() noexcept {
        bytes_->cancel();
        if (block_) block_->cancel();
    }

private:
    std::uint64_t jump(std::uint64_t i) {
        if (find_) {
            held_ = find_();
            find_ = nullptr;
        }
        auto const [begin, end] = held_ ? std::pair(held_->offset(i), held_->offset(i + 1)) : shard_block::look(*block_, i);
        if (begin >= end || end > bytes_->size()) mismatch({}, begin, message("its block says that sample ", i, " of the shard lies at bytes ", begin, " to ", end, " of ", bytes_->size()));
        begin_ = begin;
        walker_.jump(i, i == 0 ? 0 : begin, end);  // what lies before the first sample is seen with it
        return end;
    }
    void compare(std::uint64_t i, std::uint64_t end, bool there) const {
        if (!there || walker_.first_byte() != begin_) mismatch({}, begin_, message("its block says that sample ", i, " of the shard begins there, and there is none"));
        if (walker_.offset() != end)
            mismatch(walker_.last_key(), begin_, message("its block says that sample ", i, " of the shard ends at byte ", end, ", and it does not"));
    }
    [[noreturn]] void mismatch(std::string const& key, std::uint64_t byte, std::string const& why) const {
        throw damaged_shard("indexed", damage::index_mismatch, place{bytes_->name(), key, byte, {}}, why, "the shard or its block was rewritten: index it again (penstock-index build), and start anew");
    }

    std::shared_ptr<io::byte_source> bytes_, block_{};
    std::function<std::shared_ptr<shard_block const>()> find_;
    std::shared_ptr<shard_block const> held_{};
    tar_walker walker_;
    std::uint64_t begin_ = 0;
};

struct tar_places_options {
    io::opener io = {};
    bool local = true;  ///< names are paths of this machine
    tar_allow allow = {};
    note_sink notes = {};
    bool write_index = true;
    bool verify = false;
    int threads = 4;
    scan_shards scan = scan_shards::local;
    progress_sink progress = {};
};

/// The random_format of tar shards. Blocks that were made and could not be written are kept in memory.
class tar_places {
public:
    using value_type = penstock::fields;
    static constexpr char const* stage = "indexed";

    explicit tar_places(tar_places_options o) : o_(std::move(o)), log_(std::make_shared<left_out_log>(stage, o_.notes)) {}

    std::string note() const { return log_->note(); }

    /// `plan` with the counts of the blocks, once every shard has one. config_error where that cannot be.
    shard_plan place(shard_plan const& plan) {
        auto const& names = plan.names();
        auto counts = std::vector<std::uint64_t>(names.size(), unknown);
        auto missing = std::vector<std::size_t>{};
        auto reason = std::string{};
        for_each_shard(names.size(), o_.threads, [&](std::size_t i) { counts[i] = known(names[i]); });
        for (std::size_t i = 0; i != names.size(); ++i)
            if (counts[i] == unknown) missing.push_back(i);
        if (!missing.empty()) scan(names, missing, counts);
        if (!plan.counted()) return plan.with_counts(counts);
        for (std::size_t i = 0; i != names.size(); ++i)
            if (counts[i] != plan.count(i))
                throw config_error(message("indexed: ", names[i], ": the plan says ", number_of(plan.count(i), "sample"), ", the shard has ", counts[i], "\n  HINT: leave samples_per_shard and counts out"));
        return plan;
    }

    std::shared_ptr<tar_at_random> open(std::string const& path, std::uint64_t samples) {
        auto const bytes = o_.io(path);
        auto const now = here(path) && !o_.verify ? shard_index::stat_of(path) : std::nullopt;  // verify compares every byte, whatever the time
        auto const kept = kept_.find(path);
        auto const block = kept == kept_.end() ? shard_block::open_block(path, o_.io) : nullptr;
        auto const fits = [path, samples, now, open = o_.io, believed = believed_, size = bytes->size()](shard_block::heading const& h) {
            bool const before = now && believed->is(path, *now);
            if (auto const why = h.stale(path, open, size, now && !before ? &*now : nullptr); !why.empty()) refuse(path, why);
            if (now && now->mtime_ns != h.shard.mtime_ns) believed->add(path, *now);
            if (h.shard.samples != samples) refuse(path, message("its block has ", number_of(h.shard.samples, "sample"), ", ", samples, " when the run began"));
        };
        auto find = std::function<std::shared_ptr<shard_block const>()>{};
        if (!block) find = [fits, held = kept->second] {
            fits({.shard = held->shard()});
            return held;
        };
        else find = [fits, block, path, verify = o_.verify, whole = whole_]() -> std::shared_ptr<shard_block const> {
            auto const head = shard_block::read_heading(*block);
            fits(head);
            if (auto& checked = (*whole)[path]; verify || checked != head.checksum) {
                auto all = shard_block::parse(block->read(0, static_cast<std::size_t>(block->size())), block->name());
                checked = head.checksum;
                if (verify) return std::make_shared<shard_block const>(std::move(all));
            }
            return nullptr;
        };
        return std::make_shared<tar_at_random>(bytes, block, std::move(find), walking());
    }
    std::string const& key(penstock::fields const& f) const { return f.key(); }
    std::uint64_t bytes(penstock::fields const& f) const {
        std::uint64_t n = 0;
        for (auto const& one : f.all()) n += one.bytes.size();
        return n;
    }

private:
    static constexpr auto unknown = ~std::uint64_t{0};

    tar_options walking() const {
        return {.allow = o_.allow, .told = [log = log_](left_out const& one) { log->add(one, false); }};
    }
    static bool far(std::string const& path) { return path.find("://") != path.npos; }
    bool here(std::string const& path) const { return o_.local && !far(path); }
    [[noreturn]] static void refuse(std::string const& path, std::string const& why) {
        throw stage_error("indexed", fault::content, penstock::place{path, {}, {}, {}}, why, "shards must not change while a run reads them: index it again (penstock-index build), and start anew");
    }
    /// The samples of a shard whose block is there and fits, or unknown.
    std::uint64_t known(std::string const& path) const {
        auto const now = here(path) ? shard_index::stat_of(path) : std::nullopt;
        if (here(path)) {
            if (!now) throw config_error(message("indexed: ", shard_index::absence(path), "\n  HINT: look for the shard, or take it off the list"));
            if (!shard_block::there(path)) return unknown;
        }
        auto head = shard_block::heading{};
        try {
            head = shard_block::read_heading(*shard_block::open_block(path, o_.io));
            if (!head.stale(path, o_.io, now ? now->bytes : o_.io(path)->size(), now && !o_.verify ? &*now : nullptr).empty()) return unknown;
            if (now && !o_.verify && now->mtime_ns != head.shard.mtime_ns) moved(path, {head.shard.samples, now->bytes, now->mtime_ns, head.shard.spots});
        } catch (stage_error const&) {
            return unknown;
        }
        require(path, head.seekable(), head.has_checksums());
        return head.shard.samples;
    }
    /// Of a shard that was copied: its block is that of this very content, and is given the new time of change where it can be written.
    void moved(std::string const& path, shard_index::entry const& now) const {
        believed_->add(path, now);
        if (!o_.write_index) return;
        try {
            shard_block::renew(path, now);
        } catch (stage_error const& e) {
            if (e.kind != fault::io) throw;
        }
    }
    void require(std::string const& path, bool seekable, bool checksums) const {
        if (!seekable)
            throw config_error(message("indexed: ", path, ": a global pax header speaks for the members behind it, so none can be read on its own\n  HINT: write the shard again without it (git archive makes one), or use read_tar()"));
        if (o_.verify && !checksums)
            throw config_error(message("indexed: verify needs the checksums of every shard, and ", path, " has none (", shard_block::path_of(path), ")\n  HINT: penstock-index build --crc 'the shards', or write them with write_tar"));
    }

    static void check_name(shard_index const& index) {
        try {
            index.refuse_foreign();
        } catch (stage_error const& e) {
            refuse_shard(e);
        }
    }
    void scan(shard_names const& names, std::vector<std::size_t> missing, std::vector<std::uint64_t>& counts) {
        auto const first = names[missing.front()];
        auto const remote = std::find_if(missing.begin(), missing.end(), [&](std::size_t i) { return far(names[i]); });
        if (o_.scan == scan_shards::never || (o_.scan == scan_shards::local && remote != missing.end()))
            throw config_error(message("indexed: ", number_of(missing.size(), "shard"), missing.size() == 1 ? " has" : " have", " no block that says where samples lie, the first is ", o_.scan == scan_shards::never ? first : names[*remote],
                                       o_.scan == scan_shards::never ? ", and scan is never" : ", and shards behind an address are not scanned unless it is asked for",
                                       o_.local && o_.scan != scan_shards::never
                                           ? "\n  HINT: files of this machine are read; copy or mount the shards, or give the reader what opens addresses, {.io = ...}"
                                           : "\n  HINT: penstock-index build, or .scan = scan_shards::always"));
        bool const remember = o_.write_index && o_.local;
        auto turn = std::optional<counting_turn>{};
        auto indexes = index_set{};
        if (remember) {
            for (auto const i : missing) check_name(indexes.of(shard_index::split(names[i]).first));
            turn.emplace(first, stage);
            for (auto const i : missing) counts[i] = known(names[i]);  // another process may have scanned while we waited
            std::erase_if(missing, [&](std::size_t i) { return counts[i] != unknown; });
        }
        auto start = shard_progress{.who = stage, .doing = "indexing", .reason = first + " has no block", .shards = missing.size(), .threads = o_.threads};
        for (auto const i : missing)
            if (auto const now = here(names[i]) ? shard_index::stat_of(names[i]) : std::nullopt) start.bytes += now->bytes;
        if (o_.progress && start.bytes > (64 << 20))
            if (auto const per_byte = header_scan_cost(o_.io(names[missing.front()])))
                start.estimate = *per_byte * static_cast<double>(start.bytes) / static_cast<double>((std::min)(static_cast<std::size_t>(o_.threads), missing.size()));
        auto meter = progress_meter(start, o_.progress);
        auto guard = std::mutex{};
        for_each_shard(missing.size(), o_.threads, [&](std::size_t k) {
            auto const path = names[missing[k]];
            try {
                auto const bytes = o_.io(path);
                auto marks = shard_index::entry{0, bytes->size(), 0, 0};
                if (auto const now = here(path) ? shard_index::marks_of(path) : std::nullopt) marks = *now;  // before the scan: a change during it shows later
                auto const found = mark_samples(bytes, false, walking());
                counts[missing[k]] = marks.samples = found.samples;
                auto block = shard_block::parse(blob::own(found.block.bytes(marks, found.end)), shard_block::path_of(path));
                require(path, block.seekable(), false);
                bool written = false;
                if (remember && here(path) && !found.needs_leave) {
                    try {
                        found.block.write(path, marks, found.end);
                        written = true;
                    } catch (stage_error const& e) {
                        if (e.kind != fault::io) throw;
                        // a data directory that cannot be written is common and harms nothing
                    }
                }
                meter.finished(marks.bytes, marks.samples);
                auto const lock = std::lock_guard(guard);
                if (written) indexes.of(shard_index::split(path).first).set(shard_index::split(path).second, marks);
                else kept_.insert_or_assign(path, std::make_shared<shard_block const>(std::move(block)));
            } catch (damaged_shard const& e) {
                refuse_shard(e, "write or copy the shard again, or take it off the list");
            } catch (stage_error const& e) {
                refuse_shard(e, "look for the shard and its permissions, or take it off the list");
            }
        });
        if (remember) indexes.write();
    }

    /// Shards whose time of change is not that of their block, and whose spots are. In memory, for directories that cannot be written.
    class believed_shards {
    public:
        void add(std::string const& path, shard_index::entry const& now) {
            auto const lock = std::lock_guard(guard_);
            all_.insert_or_assign(path, now.mtime_ns);
        }
        bool is(std::string const& path, shard_index::entry const& now) const {
            auto const lock = std::lock_guard(guard_);
            auto const at = all_.find(path);
            return at != all_.end() && at->second == now.mtime_ns;
        }

    private:
        mutable std::mutex guard_;
        std::unordered_map<std::string, std::int64_t> all_{};
    };

    tar_places_options o_;
    std::shared_ptr<left_out_log> log_;
    std::shared_ptr<believed_shards> believed_ = std::make_shared<believed_shards>();
    std::unordered_map<std::string, std::shared_ptr<shard_block const>> kept_{};
    // Checksum of the heading of each block that was compared with its checksum as a whole: that is done once, not when its shard is opened again.
    std::shared_ptr<std::unordered_map<std::string, std::uint32_t>> whole_ = std::make_shared<std::unordered_map<std::string, std::uint32_t>>();
};

}  // namespace penstock::detail
