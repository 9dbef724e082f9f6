# core: std only.
penstock_room(core HEADERS
  version.hpp
  core/any_pipeline.hpp
  core/batch_type.hpp
  core/blame.hpp
  core/blob.hpp
  core/control.hpp
  core/cover.hpp
  core/describe.hpp
  core/dropped.hpp
  core/dropping_over.hpp
  core/epoch.hpp
  core/errors.hpp
  core/fields.hpp
  core/interval_set.hpp
  core/keyed.hpp
  core/ledger.hpp
  core/pipeline.hpp
  core/probe.hpp
  core/random.hpp
  core/replay.hpp
  core/source.hpp
  core/stage.hpp
  core/state.hpp
  core/stats.hpp
  core/world.hpp
)
