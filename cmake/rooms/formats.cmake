# formats: one header per format.
find_package(Threads REQUIRED)
penstock_room(formats USES io sources LIBS Threads::Threads HEADERS
  formats/damage.hpp
  formats/plan_counts.hpp
  formats/read_tar.hpp
  formats/tar_count.hpp
  formats/tar_header.hpp
  formats/tar_members.hpp
  formats/tar_name.hpp
  formats/tar_walker.hpp
)
