# io: byte sources; POSIX only.
penstock_room(io USES core HEADERS
)
