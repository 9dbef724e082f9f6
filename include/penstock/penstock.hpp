// Implements: everything for data, no LibTorch: core, sources, stages, and the rooms whose libraries are installed.
#pragma once

#include <penstock/version.hpp>

#include <penstock/core/any_pipeline.hpp>
#include <penstock/core/batch_type.hpp>
#include <penstock/core/fields.hpp>
#include <penstock/core/stage.hpp>
#include <penstock/core/world.hpp>

#include <penstock/sources/describe_plan.hpp>
#include <penstock/sources/from_range.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/generate.hpp>
#include <penstock/sources/lines.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>

#include <penstock/stages/alternate.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/batch_by_cost.hpp>
#include <penstock/stages/bucket_by_length.hpp>
#include <penstock/stages/cache.hpp>
#include <penstock/stages/chain.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/combine.hpp>
#include <penstock/stages/count.hpp>
#include <penstock/stages/cycle.hpp>
#include <penstock/stages/dedup.hpp>
#include <penstock/stages/enumerate.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/filter_map.hpp>
#include <penstock/stages/flat_map.hpp>
#include <penstock/stages/first.hpp>
#include <penstock/stages/fold.hpp>
#include <penstock/stages/for_each.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/join_by_key.hpp>
#include <penstock/stages/last.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/scan.hpp>
#include <penstock/stages/max_by.hpp>
#include <penstock/stages/min_by.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/steer.hpp>
#include <penstock/stages/skip.hpp>
#include <penstock/stages/skip_while.hpp>
#include <penstock/stages/step_by.hpp>
#include <penstock/stages/take.hpp>
#include <penstock/stages/take_while.hpp>
#include <penstock/stages/unbatch.hpp>
#include <penstock/stages/to.hpp>
#include <penstock/stages/watch.hpp>
#include <penstock/stages/window.hpp>
#include <penstock/stages/write_to.hpp>
#include <penstock/stages/zip.hpp>

#include <penstock/formats/indexed.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/read_tar_uncounted.hpp>
#include <penstock/formats/write_tar.hpp>

#if __has_include(<zlib.h>)
#include <penstock/formats/read_idx.hpp>
#endif
#if __has_include(<boost/asio/thread_pool.hpp>)
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#endif
#if __has_include(<range/v3/range_fwd.hpp>) && !defined(__CUDACC__)
#include <penstock/ranges/as_view.hpp>
#include <penstock/ranges/via.hpp>
#endif
#if __has_include(<jpeglib.h>) && __has_include(<spng.h>)
#include <penstock/image/decode.hpp>
#include <penstock/image/encode_png.hpp>
#endif
