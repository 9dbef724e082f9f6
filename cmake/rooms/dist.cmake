# dist: LibTorch's c10d.
include(penstock_torch)
if(TARGET penstock::c10d)
  penstock_room(dist HEADERS
    dist/node_list.hpp
    dist/launch.hpp
    dist/beats.hpp
    dist/exact_sum.hpp
    dist/flags.hpp
    dist/spawn.hpp
    dist/process_group.hpp
    dist/report.hpp
    dist/watch.hpp
    dist/context.hpp
    dist/context_impl.hpp
    dist/packet.hpp
    dist/data_parallel.hpp
    dist/run.hpp
    USES core LIBS penstock::c10d)
endif()
