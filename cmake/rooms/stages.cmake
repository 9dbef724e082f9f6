# stages: std only, one header per stage.
penstock_room(stages USES sources HEADERS
  stages/batch.hpp
  stages/collect.hpp
  stages/count.hpp
  stages/filter.hpp
  stages/fold.hpp
  stages/for_each.hpp
  stages/inspect.hpp
  stages/map.hpp
  stages/map_keyed.hpp
  stages/shuffle.hpp
  stages/steer.hpp
  stages/take.hpp
  stages/watch.hpp
)
