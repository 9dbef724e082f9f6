// Implements: shard_list(names), the head of every chain over shards.
#pragma once

#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan, shard_list_options, shard_names

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// The shards that `pattern` names: "data/train-{000..059}.tar", several parts joined by "::", `${NAME}` for the environment variable
/// WDS_NAME. A plan, not a source: no file is touched before a reader is applied.
///
/// Order    list order, which numbers the samples for ever; shuffle_shards() permutes what is read, not the numbers
/// Buffers  patterns stay patterns; 8 bytes per shard once counts are known
/// Resume   the reader's
/// Threads  none
/// Errors   config_error for a bad pattern, an empty list, a name that occurs twice, options that contradict each other
///
///     shard_list("train-{000..002}.tar").shards()    // 3
inline shard_plan shard_list(std::string_view pattern, shard_list_options const& options = {}) {
    return shard_plan(shard_names::expand(pattern), options);
}
/// The same for paths that are taken as they are.
inline shard_plan shard_list(std::vector<std::string> paths, shard_list_options const& options = {}) {
    return shard_plan(shard_names::list(std::move(paths)), options);
}
inline shard_plan shard_list(std::initializer_list<std::string> paths, shard_list_options const& options = {}) {
    return shard_plan(shard_names::list(paths), options);
}

}  // namespace penstock
