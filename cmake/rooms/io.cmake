# io: byte sources; POSIX only.
penstock_room(io USES core HEADERS
  io/atomic_file.hpp
  io/bus_guard.hpp
  io/byte_source.hpp
  io/crc32c.hpp
  io/descriptor_pool.hpp
  io/file_handle.hpp
  io/locked_file.hpp
  io/mmap_source.hpp
  io/open_file.hpp
  io/pread_source.hpp
  io/spot_sum.hpp
)
