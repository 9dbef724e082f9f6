# core: std only.
penstock_room(core HEADERS
  version.hpp
  core/blob.hpp
  core/cover.hpp
  core/epoch.hpp
  core/errors.hpp
  core/fields.hpp
  core/keyed.hpp
  core/random.hpp
  core/world.hpp
)
