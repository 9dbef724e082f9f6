# formats: one header per format; the tar needs nothing but POSIX, gzip and IDX need zlib.
find_package(Threads REQUIRED QUIET)
find_package(ZLIB QUIET)
if(ZLIB_FOUND)
  penstock_room(formats USES io sources stages LIBS Threads::Threads ZLIB::ZLIB HEADERS
    formats/build_index.hpp
    formats/damage.hpp
    formats/gzip.hpp
    formats/indexed.hpp
    formats/json_counts.hpp
    formats/parallel_shards.hpp
    formats/read_idx.hpp
    formats/read_tar.hpp
    formats/read_tar_uncounted.hpp
    formats/shard_block.hpp
    formats/shard_counts.hpp
    formats/shard_index.hpp
    formats/shard_progress.hpp
    formats/side_index.hpp
    formats/tar_allow.hpp
    formats/tar_count.hpp
    formats/tar_header.hpp
    formats/tar_keys.hpp
    formats/tar_marks.hpp
    formats/tar_members.hpp
    formats/tar_name.hpp
    formats/tar_places.hpp
    formats/tar_walker.hpp
    formats/tar_writer.hpp
    formats/write_tar.hpp
  )
endif()
