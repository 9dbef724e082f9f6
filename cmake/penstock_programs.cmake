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

# penstock_torch_pch(target): <torch/torch.h> and c10d precompiled once for all programs of ours that use LibTorch (13 s per file become 5).
# GCC takes a precompiled header only where the options are the same: programs with options of their own go without.
function(penstock_torch_pch target)
  if(NOT TARGET ${target} OR NOT TARGET penstock::c10d)
    return()
  endif()
  if(NOT TARGET penstock_torch_pch)
    file(WRITE "${PROJECT_BINARY_DIR}/penstock_torch_pch.cpp" "// owner of the precompiled header\n")
    add_library(penstock_torch_pch OBJECT EXCLUDE_FROM_ALL "${PROJECT_BINARY_DIR}/penstock_torch_pch.cpp")
    target_link_libraries(penstock_torch_pch PRIVATE penstock::c10d penstock_dev_warnings)
    target_precompile_headers(penstock_torch_pch PRIVATE
      <torch/torch.h>
      <torch/csrc/distributed/c10d/HashStore.hpp>
      <torch/csrc/distributed/c10d/PrefixStore.hpp>
      <torch/csrc/distributed/c10d/TCPStore.hpp>
      <torch/csrc/distributed/c10d/ProcessGroup.hpp>
      <torch/csrc/distributed/c10d/comm.hpp>
      <torch/csrc/distributed/c10d/logger.hpp>
      <torch/csrc/distributed/c10d/reducer.hpp>)
  endif()
  target_precompile_headers(${target} REUSE_FROM penstock_torch_pch)
endfunction()
