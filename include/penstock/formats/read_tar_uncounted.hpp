// Implements: read_tar(count_mode::unknown), the samples of shards that nobody counted: the first epoch counts them as it reads.
#pragma once

#include <penstock/core/stage.hpp>                  // defines: plan_stage, broken_chain
#include <penstock/formats/read_tar.hpp>            // defines: read_tar_options, tar_format, counting_of, resolve_counts
#include <penstock/sources/discovering_reader.hpp>  // defines: discovering_reader

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock {

struct count_mode {
    struct unknown_t {};
    static constexpr unknown_t unknown{};  ///< do not count the shards before the first epoch
};

namespace detail {

/// Puts what the first epoch counted into the index beside the shards, at the end of each shard; where writing takes long, of several at once.
class shards_found {
public:
    /// stage_error when nothing can be remembered because a foreign file bears the name of an index.
    explicit shards_found(shard_names names) : names_(std::move(names)) {
        for (std::size_t i = 0; i != names_.size(); ++i) indexes_.of(shard_index::split(names_[i]).first).refuse_foreign();
        indexes_.forget();
    }

    void begins(std::size_t shard) {
        auto const now = shard_index::marks_of(names_[shard]);  // before it is read, so that a change meanwhile shows
        if (now) open_.insert_or_assign(shard, *now);
    }
    void ends(std::size_t shard, std::uint64_t samples, bool last) {
        if (auto const at = open_.find(shard); at != open_.end()) {
            at->second.samples = samples;
            auto const [directory, base] = shard_index::split(names_[shard]);
            indexes_.of(directory).set(base, at->second);
            open_.erase(at);
        }
        using clock = std::chrono::steady_clock;
        auto const began = clock::now();
        if (!last && began < next_) return;
        indexes_.write();
        indexes_.forget();  // what was written is in the files, with what others wrote
        auto const now = clock::now();
        next_ = now + 20 * (now - began);  // writing stays below 5 % of the time
    }

private:
    shard_names names_;
    index_set indexes_{};
    std::map<std::size_t, shard_index::entry> open_{};
    std::chrono::steady_clock::time_point next_{};
};

}  // namespace detail

/// read_tar for shards that nobody counted and that are not to be scanned first. If all counts are known after all, it is read_tar. Else epoch 0
/// deals whole shards over the ranks in the order of shuffle_shards, without a common number of steps (world_max is unknown: fit's packet keeps the
/// ranks together until the last one ends), and writes the index as it reads. From epoch 1 on everything is exact, as in read_tar: the counts
/// come from the index, and what is missing in it (of a shard that other machines read, or that was damaged) is scanned then.
///
/// Order    epoch 0: shards in the order of pass 0, each on one rank; later epochs those of read_tar
/// Buffers  one sample; one shard is open
/// Resume   exact in the same world, two numbers in epoch 0; another world cannot go on with epoch 0 (state_error), and can with every later one
/// Threads  none
/// Errors   config_error for a shard that is not there, a plan with counts, samples_per_epoch, repeat or a part of the data set; lost_samples as in read_tar,
///          which in epoch 0 cannot say how many samples the rest of a damaged shard has; a damaged shard ends epoch 1 where it begins, unless damaged is read_up_to
///
///     shard_list("train-{000..001}.tar") | shuffle_shards() | read_tar(count_mode::unknown)
inline auto read_tar(count_mode::unknown_t, read_tar_options options = {}) {
    if (options.count_threads < 1) throw config_error(message("read_tar: count_threads must be >= 1, got ", options.count_threads, "\n  HINT: 1 counts one shard after the other"));
    return plan_stage("read_tar", [options = std::move(options)]<class P>(P plan) {
        constexpr bool ok = std::is_same_v<P, shard_plan>;
        static_assert(ok, "read_tar(count_mode::unknown) reads a list of shards, but what stands before it yields items. HINT: put shard_list(...) before it");
        if constexpr (ok) {
            auto const refuse = [&](std::string const& rule, char const* hint) { throw config_error(message("read_tar(count_mode::unknown): ", rule, "\n  HINT: ", hint)); };
            if (plan.counted()) refuse("the list of shards has counts already", "leave count_mode::unknown out");
            if (plan.has_window()) refuse("samples_per_epoch and repeat need to know how many samples there are", "leave count_mode::unknown out: shards are then counted before the first epoch");
            if (plan.choice().which() != part::all) refuse(message(plan.chosen_text(), " cannot be told before the shards are counted"), "leave count_mode::unknown out: shards are then counted before the first epoch");
            auto const format = detail::format_of(options);
            bool const local = format.local;
            auto const counting = detail::counting_of(options, format);
            for (std::size_t i = 0; local && i != plan.shards(); ++i)
                if (auto const path = plan.names()[i]; path.find("://") == path.npos && !shard_index::stat_of(path))
                    refuse(shard_index::absence(path), "look for the shard, or take it off the list");
            auto known = std::optional<shard_plan>{};
            if (local) try {
                    auto look = counting;
                    look.scan = scan_shards::never;
                    known = resolve_counts(plan, look);
                } catch (config_error const&) {
                }
            using reader = discovering_reader<detail::tar_format>;
            auto out = typename reader::found_out{.count = [counting](shard_plan const& p) { return resolve_counts(p, counting); }};
            if (counting.write_index && local) {
                auto found = std::shared_ptr<detail::shards_found>{};
                try {
                    found = std::make_shared<detail::shards_found>(plan.names());
                } catch (stage_error const& e) {
                    detail::refuse_shard(e);
                }
                out.begins = [found](std::size_t shard) { found->begins(shard); };
                out.ends = [found](std::size_t shard, std::uint64_t samples, bool last) { found->ends(shard, samples, last); };
            }
            return reader(std::move(plan), std::move(known), format, std::move(out));
        } else return broken_chain{};
    });
}

}  // namespace penstock
