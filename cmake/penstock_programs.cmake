# How our own programs are compiled; nothing here is exported.

add_library(penstock_dev_warnings INTERFACE)
target_compile_options(penstock_dev_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wpedantic
  $<$<BOOL:${PENSTOCK_WERROR}>:-Werror> $<$<CXX_COMPILER_ID:GNU>:-fconcepts-diagnostics-depth=2>)

# penstock_program(name SOURCES file... ROOMS room...): an executable of ours; skipped when one of its rooms is off.
function(penstock_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;ROOMS" ${ARGN})
  foreach(room IN LISTS arg_ROOMS)
    if(NOT TARGET penstock::${room})
      return()
    endif()
  endforeach()
  add_executable(${name} ${arg_SOURCES})
  list(TRANSFORM arg_ROOMS PREPEND "penstock::")
  target_link_libraries(${name} PRIVATE ${arg_ROOMS} penstock_dev_warnings)
endfunction()
