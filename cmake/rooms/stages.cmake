# stages: std only, one header per stage.
penstock_room(stages USES sources HEADERS
  stages/batch.hpp
  stages/batch_by_cost.hpp
  stages/bucket_by_length.hpp
  stages/cache.hpp
  stages/collect.hpp
  stages/count.hpp
  stages/extreme.hpp
  stages/filter.hpp
  stages/first.hpp
  stages/fold.hpp
  stages/for_each.hpp
  stages/gather.hpp
  stages/inspect.hpp
  stages/last.hpp
  stages/map.hpp
  stages/map_keyed.hpp
  stages/max_by.hpp
  stages/min_by.hpp
  stages/shuffle.hpp
  stages/steer.hpp
  stages/take.hpp
  stages/watch.hpp
  stages/world_bounds.hpp
  stages/write_to.hpp
)
