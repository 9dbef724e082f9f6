# sources: std only.
penstock_room(sources USES core HEADERS
  sources/from_vector.hpp
  sources/range.hpp
)
