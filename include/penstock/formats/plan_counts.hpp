// Implements: resolve_counts, how many samples each shard of a plan has: from the caller, from the index beside the shards, else by counting.
#pragma once

#include <penstock/core/errors.hpp>           // defines: config_error, stage_error, message
#include <penstock/formats/shard_counts.hpp>  // defines: shard_counts, shard_counts_options, shard_index
#include <penstock/sources/shard_plan.hpp>    // defines: shard_plan

#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

struct count_plan_options {
    bool local = true;        ///< names are paths of this machine: shards can be looked up, and indexes stand beside them
    bool write_index = true;  ///< remember what was counted; a directory that cannot be written is no error
    int threads = 4;          ///< shards counted at the same time
};

namespace detail {

/// A failure while a chain is built: a config_error that keeps the failure's own words, and has it nested.
[[noreturn]] inline void refuse_shard(stage_error const& e, std::string_view hint = {}) {
    auto const text = std::string(e.what());
    if (hint.empty()) std::throw_with_nested(config_error(text));
    std::throw_with_nested(config_error(message(text.substr(0, text.find("\n  HINT: ")), "\n  HINT: ", hint)));
}

/// What the caller said, compared with the indexes of unchanged shards.
inline void check_counts(shard_plan const& plan, char const* who) {
    std::map<std::string, shard_index> indexes;
    for (std::size_t i = 0; i != plan.shards(); ++i) {
        auto const path = plan.names()[i];
        auto const directory = shard_index::split(path).first;
        auto const [at, fresh] = indexes.try_emplace(directory);
        if (fresh) at->second = shard_index::read(directory);
        auto const indexed = at->second.look(path).samples;
        if (indexed && *indexed != plan.count(i))
            throw config_error(message(who, ": ", path, ": the plan says ", plan.count(i), " samples, the index beside it ", *indexed,
                                       "\n  HINT: leave samples_per_shard and counts out, or remove ", shard_index::path_in(directory)));
    }
}

}  // namespace detail

/// `plan` with the number of samples of every shard. `count(path)` is called from several threads, for those that neither the caller nor a
/// side file knows; it throws config_error. A local shard that is not there is a config_error, and so is a count of the caller that the
/// index of the unchanged shard contradicts. `who` is the stage to name.
template <class Count>
shard_plan resolve_counts(shard_plan const& plan, char const* who, count_plan_options const& o, Count count) {
    constexpr std::size_t most_checked = 100'000;  // known counts of more shards are taken on trust; a missing shard is noticed in its turn
    auto const& names = plan.names();
    if (plan.counted() && (!o.local || names.size() > most_checked)) return plan;

    std::vector<std::string> paths;
    for (std::size_t i = 0; i != names.size(); ++i) {
        paths.push_back(names[i]);
        if (o.local && !shard_index::stat_of(paths.back())) throw config_error(message(who, ": ", paths.back(), ": no such file\n  HINT: look for the shard, or take it off the list"));
    }
    if (plan.counted()) {
        detail::check_counts(plan, who);
        return plan;
    }
    try {
        auto const found = shard_counts(paths, {.threads = o.threads, .count = count, .use_index = o.local, .use_sizes_json = o.local, .write_index = o.local && o.write_index});
        return plan.with_counts(found.samples);
    } catch (stage_error const& e) {
        detail::refuse_shard(e);
    }
}

}  // namespace penstock
