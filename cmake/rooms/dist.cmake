# dist: LibTorch's c10d.
include("${CMAKE_CURRENT_LIST_DIR}/../penstock_torch.cmake")
if(TARGET penstock::c10d)
  penstock_room(dist USES core LIBS penstock::c10d LIBRARY "LibTorch ${PENSTOCK_TORCH_VERSION} with c10d and Gloo" HEADERS
    dist/agreement.hpp
    dist/beats.hpp
    dist/context.hpp
    dist/context_impl.hpp
    dist/data_parallel.hpp
    dist/exact_sum.hpp
    dist/flags.hpp
    dist/launch.hpp
    dist/node_list.hpp
    dist/packet.hpp
    dist/process_group.hpp
    dist/report.hpp
    dist/run.hpp
    dist/spawn.hpp
    dist/stall_clock.hpp
    dist/streams.hpp
    dist/watch.hpp
  )
else()
  penstock_room_off(dist "${PENSTOCK_C10D_MISSING}" "${PENSTOCK_C10D_GET}")
endif()
