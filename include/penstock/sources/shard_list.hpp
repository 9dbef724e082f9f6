// Implements: shard_list(names), the head of every chain over shards.
#pragma once

#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan, shard_list_options, shard_names

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The shards that `pattern` names: "data/train-{000..059}.tar", "data/train-*.tar", a directory "data/", a file of names "@shards.txt",
/// several of these joined by "::"; `${NAME}` is the environment variable WDS_NAME or NAME (shard_names::expand). A plan, not a source:
/// only * ? [a-z], directories and @ look at the disk, and no shard is opened before a reader is applied.
///
/// Order    list order, which numbers the samples for ever; shuffle_shards() permutes what is read, not the numbers
/// Buffers  braces stay a pattern, other names take their length and 8 bytes; 8 bytes per shard once counts are known
/// Resume   the reader's
/// Threads  none
/// Errors   config_error for a bad pattern or one without a match, an empty directory or list, a name that occurs twice, options that contradict each other
///
///     shard_list("train-{000..002}.tar").shards()    // 3
inline shard_plan shard_list(std::string_view pattern, shard_list_options const& options = {}) {
    return shard_plan(shard_names::expand(pattern), options);
}
/// The same for paths that are taken as they are.
inline shard_plan shard_list(std::vector<std::string> const& paths, shard_list_options const& options = {}) {
    return shard_plan(shard_names::list(paths), options);
}
inline shard_plan shard_list(std::initializer_list<std::string> paths, shard_list_options const& options = {}) {
    return shard_plan(shard_names::list(paths), options);
}

}  // namespace penstock
