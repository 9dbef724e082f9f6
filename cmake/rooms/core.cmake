# core: std only.
penstock_room(core HEADERS
  version.hpp
  core/errors.hpp
)
