# How our own programs (tests, examples, benchmarks) are compiled; nothing here is exported.

set(PENSTOCK_SANITIZE "" CACHE STRING "Sanitizers of our own programs: address,undefined or thread; empty for none")
set_property(CACHE PENSTOCK_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")
option(PENSTOCK_SANITIZE_TRAP "Undefined behaviour ends a program without a word; compiles an eighth faster" OFF)

add_library(penstock_dev_warnings INTERFACE)
target_compile_options(penstock_dev_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wpedantic
  $<$<BOOL:${PENSTOCK_WERROR}>:-Werror>
  # -Wrestrict of GCC 12 misreads the concatenation of strings (GCC bug 105651)
  $<$<CXX_COMPILER_ID:GNU>:-fconcepts-diagnostics-depth=2 -Wno-restrict>
  # what libstdc++ 12 makes of std::stable_sort; a captured constant that need not be
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations -Wno-unused-lambda-capture>)

add_library(penstock_dev_sanitizers INTERFACE)
if(PENSTOCK_SANITIZE)
  target_compile_options(penstock_dev_sanitizers INTERFACE
    -fsanitize=${PENSTOCK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    $<$<BOOL:${PENSTOCK_SANITIZE_TRAP}>:-fsanitize-undefined-trap-on-error>)
  target_link_options(penstock_dev_sanitizers INTERFACE -fsanitize=${PENSTOCK_SANITIZE})
  if(PENSTOCK_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # the thread sanitizer does not see fences; Boost.Asio has some, beside a mutex, which it does see
    target_compile_options(penstock_dev_sanitizers INTERFACE -Wno-tsan)
  endif()
endif()

# penstock_uses_torch(OUT room...): whether LibTorch is linked. It is not instrumented: its programs run without sanitizers.
function(penstock_uses_torch out)
  set(${out} FALSE PARENT_SCOPE)
  foreach(room IN LISTS ARGN)
    if(room IN_LIST PENSTOCK_ROOMS_TORCH)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# A file with LibTorch's headers takes up to 2 GB to compile: no more of them at once than there is memory for.
cmake_host_system_information(RESULT penstock_memory_mb QUERY TOTAL_PHYSICAL_MEMORY)
math(EXPR penstock_torch_jobs "${penstock_memory_mb} / 2000")
if(penstock_torch_jobs LESS 1)
  set(penstock_torch_jobs 1)
endif()
set_property(GLOBAL APPEND PROPERTY JOB_POOLS penstock_torch=${penstock_torch_jobs})

# penstock_program(name SOURCES file... ROOMS room... [PLAIN]): an executable of ours; skipped when one of its rooms is off.
#   PLAIN  without sanitizers
function(penstock_program name)
  cmake_parse_arguments(arg "PLAIN" "" "SOURCES;ROOMS" ${ARGN})
  foreach(room IN LISTS arg_ROOMS)
    if(NOT TARGET penstock::${room})
      return()
    endif()
  endforeach()
  add_executable(${name} ${arg_SOURCES})
  penstock_uses_torch(torch ${arg_ROOMS})
  if(torch)
    set_property(TARGET ${name} PROPERTY JOB_POOL_COMPILE penstock_torch)
  endif()
  list(TRANSFORM arg_ROOMS PREPEND "penstock::")
  target_link_libraries(${name} PRIVATE ${arg_ROOMS} penstock_dev_warnings)
  if(NOT torch AND NOT arg_PLAIN)
    target_link_libraries(${name} PRIVATE penstock_dev_sanitizers)
  endif()
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
