# sources: std only.
penstock_room(sources USES core HEADERS
  sources/braces.hpp
  sources/describe_plan.hpp
  sources/discovering_reader.hpp
  sources/from_range.hpp
  sources/from_vector.hpp
  sources/generate.hpp
  sources/indexed_reader.hpp
  sources/line.hpp
  sources/lines.hpp
  sources/lost_run.hpp
  sources/permutation.hpp
  sources/permuted.hpp
  sources/plan_identity.hpp
  sources/planned_reader.hpp
  sources/range.hpp
  sources/rest_of_epoch.hpp
  sources/sample_choice.hpp
  sources/shard_format.hpp
  sources/shard_glob.hpp
  sources/shard_list.hpp
  sources/shard_names.hpp
  sources/shard_plan.hpp
  sources/shard_text.hpp
  sources/shuffle_shards.hpp
  sources/split_by_rank.hpp
)
