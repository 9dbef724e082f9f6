# One interface target per room. A room is on when its libraries are found; headers are installed whatever is on.

# penstock_room(name HEADERS ... [USES room...] [LIBS target...])
function(penstock_room name)
  cmake_parse_arguments(arg "" "" "HEADERS;USES;LIBS" ${ARGN})
  add_library(penstock_${name} INTERFACE)
  add_library(penstock::${name} ALIAS penstock_${name})
  target_compile_features(penstock_${name} INTERFACE cxx_std_20)
  list(TRANSFORM arg_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/penstock/")
  target_sources(penstock_${name} INTERFACE FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${arg_HEADERS})
  list(TRANSFORM arg_USES PREPEND "penstock::")
  target_link_libraries(penstock_${name} INTERFACE ${arg_USES} ${arg_LIBS})
  set_target_properties(penstock_${name} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
  set_property(GLOBAL APPEND PROPERTY PENSTOCK_ROOMS_ON ${name})
endfunction()

foreach(room core sources stages concurrency io formats image dist tensor train)
  include(rooms/${room})
endforeach()
