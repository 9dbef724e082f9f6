// Implements: resolve_counts, how many samples each shard of a plan has: from the index beside the shards, from the caller, else by counting.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/formats/tar_count.hpp>    // defines: for_each_index_parallel
#include <penstock/sources/shard_plan.hpp>   // defines: shard_plan

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

struct count_plan_options {
    bool local = true;         ///< names are paths of this machine: shards can be looked up, and indexes stand beside them
    bool write_index = true;   ///< remember what was counted; a directory that cannot be written is no error
    int threads = 4;           ///< shards counted at the same time
};

/// What counting a shard gave.
struct counted_shard {
    std::uint64_t samples = 0;
    bool whole = true;         ///< the shard is sound: the index may remember it
};

namespace detail {

/// The indexes of the directories that shards of a plan lie in, each read once.
class index_shelf {
public:
    explicit index_shelf(bool local) : local_(local) {}

    /// The samples of a shard that did not change since it was indexed.
    std::optional<std::uint64_t> look(std::string const& path) {
        if (!local_) return std::nullopt;
        auto const directory = shard_index::split(path).first;
        auto const [at, fresh] = all_.try_emplace(directory);
        if (fresh) at->second = shard_index::read(directory);
        return at->second.look(path).samples;
    }
    void add(std::string const& path, shard_index::entry e) {
        auto const [directory, name] = shard_index::split(path);
        news_[directory].emplace_back(name, e);
    }
    /// Adds the news to what stands there by now: another process may have written meanwhile, and has counted the same shards.
    void write() const noexcept {
        for (auto const& [directory, entries] : news_) {
            try {
                auto index = shard_index::read(directory);
                for (auto const& [name, e] : entries) index.set(name, e);
                index.write(directory);
            } catch (std::exception const&) {  // the counts hold without it; the next run counts again
            }
        }
    }

private:
    bool local_;
    std::map<std::string, shard_index> all_;
    std::map<std::string, std::vector<std::pair<std::string, shard_index::entry>>> news_;
};

}  // namespace detail

/// `plan` with the number of samples of every shard. `count(path) -> counted_shard` is called from several threads, for those of which
/// neither an index nor the caller knows it. A local shard that is not there is a config_error, and so is a caller's count that an index
/// of the unchanged shard contradicts. `who` is the stage to name.
template <class Count>
shard_plan resolve_counts(shard_plan const& plan, char const* who, count_plan_options const& o, Count count) {
    constexpr std::size_t most_checked = 100'000;  // known counts of more shards are taken on trust; a missing shard is noticed in its turn
    auto const& names = plan.names();
    if (plan.counted() && (!o.local || names.size() > most_checked)) return plan;

    auto shelf = detail::index_shelf(o.local);
    std::vector<std::uint64_t> counts(names.size());
    std::vector<std::size_t> unknown;
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto const path = names[i];
        if (o.local && !shard_index::stat_of(path)) throw config_error(message(who, ": ", path, ": no such file\n  HINT: look for the shard, or take it off the list"));
        auto const indexed = shelf.look(path);
        if (plan.counted()) {
            counts[i] = plan.count(i);
            if (indexed && *indexed != counts[i])
                throw config_error(message(who, ": ", path, ": the plan says ", counts[i], " samples, the index beside it ", *indexed, "\n  HINT: leave samples_per_shard and counts out, or remove ",
                                           shard_index::path_in(shard_index::split(path).first)));
        } else if (indexed) counts[i] = *indexed;
        else unknown.push_back(i);
    }
    if (plan.counted()) return plan;

    std::vector<std::optional<shard_index::entry>> found(unknown.size());
    detail::for_each_index_parallel(unknown.size(), o.threads, [&](std::size_t k) {
        auto const path = names[unknown[k]];
        auto before = o.local ? shard_index::stat_of(path) : std::nullopt;  // first: a change while it is counted shows later
        auto const got = count(path);
        counts[unknown[k]] = got.samples;
        if (!before || !got.whole) return;
        before->samples = got.samples;
        found[k] = before;
    });
    if (o.write_index) {
        for (std::size_t k = 0; k != unknown.size(); ++k)
            if (found[k]) shelf.add(names[unknown[k]], *found[k]);
        shelf.write();
    }
    return plan.with_counts(counts);
}

}  // namespace penstock
