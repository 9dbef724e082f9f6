# concurrency: Boost.Asio's thread_pool (headers only).
find_package(Threads REQUIRED QUIET)
find_package(Boost 1.74 QUIET)
if(Boost_FOUND)
  penstock_room(concurrency USES core LIBS Boost::headers Threads::Threads HEADERS
    concurrency/chunk_board.hpp
    concurrency/executor.hpp
    concurrency/hand_over.hpp
    concurrency/linked_stop.hpp
    concurrency/map_cell.hpp
    concurrency/map_window.hpp
    concurrency/parallel_map.hpp
    concurrency/prefetch.hpp
    concurrency/read_ahead.hpp
    concurrency/rewind.hpp
  )
endif()
