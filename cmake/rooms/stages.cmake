# stages: std only, one header per stage.
penstock_room(stages USES sources HEADERS
  stages/batch.hpp
  stages/collect.hpp
  stages/count.hpp
  stages/cycle.hpp
  stages/dedup.hpp
  stages/enumerate.hpp
  stages/filter.hpp
  stages/filter_map.hpp
  stages/flat_map.hpp
  stages/fold.hpp
  stages/for_each.hpp
  stages/inspect.hpp
  stages/map.hpp
  stages/map_keyed.hpp
  stages/scan.hpp
  stages/shuffle.hpp
  stages/steer.hpp
  stages/skip.hpp
  stages/skip_while.hpp
  stages/step_by.hpp
  stages/take.hpp
  stages/take_while.hpp
  stages/unbatch.hpp
  stages/watch.hpp
  stages/window.hpp
)
