# ranges: range-v3 (headers only).
find_package(range-v3 QUIET)  # its version file knows exact versions only, so the version is compared here
if(range-v3_FOUND AND range-v3_VERSION VERSION_LESS 0.12)
  penstock_room_off(ranges "needs range-v3 0.12 or newer, found ${range-v3_VERSION}" "")
elseif(TARGET range-v3::range-v3)
  penstock_room(ranges USES core LIBS range-v3::range-v3 LIBRARY "range-v3 ${range-v3_VERSION}" HEADERS
    ranges/as_view.hpp
    ranges/feed.hpp
    ranges/via.hpp
  )
endif()
