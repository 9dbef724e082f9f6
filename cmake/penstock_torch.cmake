# Implements: penstock::torch_cpu and penstock::c10 (with PENSTOCK_CUDA also torch_cuda, c10_cuda), imported targets of our own:
# find_package(Torch) would pull in every GPU library and refuse to configure without the CUDA toolkit.
# A missing piece leaves its target undefined, and what it is and how to get it in PENSTOCK_{TORCH,C10D}_MISSING and _GET; nothing here is fatal.
include_guard(GLOBAL)

set(PENSTOCK_TORCH_DIR "" CACHE PATH "torch package of a wheel, or an unpacked LibTorch zip; empty = look for it")
set(PENSTOCK_TORCH_MISSING "")
set(PENSTOCK_C10D_MISSING "")
set(PENSTOCK_TORCH_GET "-DPENSTOCK_TORCH_DIR=<folder 'torch' of a wheel>")
if(PENSTOCK_INSTALLED)
  string(APPEND PENSTOCK_TORCH_GET ", or activate the Python that has one; for dist and train also apt install libgloo-dev nlohmann-json3-dev")
else()
  string(PREPEND PENSTOCK_TORCH_GET "cmake/bootstrap.sh, or ")
endif()
set(PENSTOCK_C10D_GET "${PENSTOCK_TORCH_GET}")

# Where `python` keeps its torch package. The package is located, never imported: the small CPU install cannot be imported.
function(penstock_torch_of_python python result)
  execute_process(COMMAND "${python}" -c
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE rc)
  if(rc EQUAL 0 AND EXISTS "${found}/lib/libtorch_cpu.so")
    set(${result} "${found}" PARENT_SCOPE)
  endif()
endfunction()

# Searched in this order: what the user says, the Python that is active, the checkout's .venv. The result is not cached:
# an environment that is made or removed later is noticed by the next configure.
set(penstock_torch_dir "${PENSTOCK_TORCH_DIR}")
if(NOT penstock_torch_dir)
  find_program(PENSTOCK_PYTHON NAMES python3 python NO_CACHE)
  if(PENSTOCK_PYTHON)
    penstock_torch_of_python("${PENSTOCK_PYTHON}" penstock_torch_dir)
  endif()
endif()
if(NOT penstock_torch_dir AND EXISTS "${CMAKE_CURRENT_LIST_DIR}/../.venv/bin/python")
  penstock_torch_of_python("${CMAKE_CURRENT_LIST_DIR}/../.venv/bin/python" penstock_torch_dir)
endif()

if(NOT penstock_torch_dir)
  set(PENSTOCK_TORCH_MISSING "needs LibTorch 2.11 ... 2.15, and found no torch package")
elseif(NOT EXISTS "${penstock_torch_dir}/lib/libtorch_cpu.so" OR NOT EXISTS "${penstock_torch_dir}/include/ATen/ATen.h")
  set(PENSTOCK_TORCH_MISSING "needs a whole torch package, and '${penstock_torch_dir}' has no lib/libtorch_cpu.so or no include/ATen")
endif()
if(PENSTOCK_TORCH_MISSING)
  set(PENSTOCK_C10D_MISSING "${PENSTOCK_TORCH_MISSING}")
  return()
endif()

set(PENSTOCK_TORCH_VERSION "")
if(EXISTS "${penstock_torch_dir}/include/torch/headeronly/version.h")
  file(STRINGS "${penstock_torch_dir}/include/torch/headeronly/version.h" penstock_torch_line REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^;]* ([0-9]+)" "\\1" PENSTOCK_TORCH_VERSION "${penstock_torch_line}")
  string(REPLACE ";" "." PENSTOCK_TORCH_VERSION "${PENSTOCK_TORCH_VERSION}")
endif()

find_package(Threads REQUIRED QUIET)
set(penstock_torch_libs c10 torch_cpu)
if(PENSTOCK_CUDA)
  list(APPEND penstock_torch_libs c10_cuda torch_cuda)
endif()
foreach(lib IN LISTS penstock_torch_libs)
  add_library(penstock::${lib} SHARED IMPORTED GLOBAL)  # IMPORTED makes the include paths SYSTEM: our warnings stop at their headers
  set_target_properties(penstock::${lib} PROPERTIES IMPORTED_LOCATION "${penstock_torch_dir}/lib/lib${lib}.so")
endforeach()
target_include_directories(penstock::c10 INTERFACE "${penstock_torch_dir}/include" "${penstock_torch_dir}/include/torch/csrc/api/include")
target_compile_features(penstock::c10 INTERFACE cxx_std_20)
file(GLOB penstock_torch_needs "${penstock_torch_dir}/../nvidia/cu*/lib/libcudart.so.*" "${penstock_torch_dir}/../nvidia/cu*/lib/libcupti.so.*")
target_link_libraries(penstock::torch_cpu INTERFACE penstock::c10 Threads::Threads ${penstock_torch_needs})

# c10d: the headers are in the package, gloo's (which ProcessGroupGloo.hpp includes) are not; nothing of libgloo is linked.
find_path(PENSTOCK_GLOO_INCLUDE gloo/transport/device.h)
if(NOT EXISTS "${penstock_torch_dir}/include/torch/csrc/distributed/c10d/reducer.hpp")
  set(PENSTOCK_C10D_MISSING "needs LibTorch 2.11 ... 2.15, and the torch package in '${penstock_torch_dir}' has no c10d headers")
elseif(NOT PENSTOCK_GLOO_INCLUDE)
  set(PENSTOCK_C10D_MISSING "needs gloo's headers")
  set(PENSTOCK_C10D_GET "apt install libgloo-dev, or -DPENSTOCK_GLOO_INCLUDE=<the folder above gloo/>")
else()
  add_library(penstock::c10d INTERFACE IMPORTED GLOBAL)
  target_include_directories(penstock::c10d SYSTEM INTERFACE "${PENSTOCK_GLOO_INCLUDE}")
  target_link_libraries(penstock::c10d INTERFACE penstock::torch_cpu)
  # The layout of c10d's classes depends on these two: they must be the same in every translation unit that sees torch.
  target_compile_definitions(penstock::torch_cpu INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
endif()

if(PENSTOCK_CUDA)
  find_package(CUDAToolkit)
  if(NOT CUDAToolkit_FOUND)
    set(PENSTOCK_TORCH_MISSING "needs the CUDA toolkit, because PENSTOCK_CUDA is on")
    set(PENSTOCK_TORCH_GET "apt install nvidia-cuda-toolkit, or -DPENSTOCK_CUDA=OFF")
    set(PENSTOCK_C10D_GET "${PENSTOCK_TORCH_GET}")
    set(PENSTOCK_C10D_MISSING "${PENSTOCK_TORCH_MISSING}")
    return()
  endif()
  file(GLOB penstock_nccl "${penstock_torch_dir}/../nvidia/nccl/include")  # the nccl.h this torch was built with, before any other
  target_include_directories(penstock::torch_cuda INTERFACE ${penstock_nccl} ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(penstock::torch_cuda INTERFACE USE_C10D_NCCL)
  target_link_libraries(penstock::torch_cuda INTERFACE penstock::torch_cpu penstock::c10_cuda)
  target_link_options(penstock::torch_cuda INTERFACE "LINKER:--no-as-needed" "LINKER:--allow-shlib-undefined")
endif()
