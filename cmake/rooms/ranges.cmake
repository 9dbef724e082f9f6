# ranges: range-v3 (headers only).
find_package(range-v3 0.12 QUIET)
if(TARGET range-v3::range-v3)
  penstock_room(ranges USES stages LIBS range-v3::range-v3 LIBRARY "range-v3 ${range-v3_VERSION}" HEADERS
    ranges/as_view.hpp
    ranges/feed.hpp
    ranges/via.hpp
  )
endif()
