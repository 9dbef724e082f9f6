// Implements: damaged_shard, the stage_error of a shard whose container is broken, and the kinds of damage.
#pragma once

#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault

#include <string>
#include <string_view>
#include <utility>

namespace penstock {

enum class damage {
    truncated,        ///< the file ends inside a header, a member or its padding
    bad_header,       ///< a header that does not verify, or extension headers that make no sense
    missing_end,      ///< the file ends where a header or the end marker is due
    bad_end,          ///< a zero block that is not followed by another
    empty,            ///< a file of zero bytes
    compressed,       ///< gzip, bzip2, xz or zstd
    unsupported,      ///< sparse, multi-volume, a link, a device, an unknown type: no file that could be given
    no_field,         ///< a file without an extension, or with a name that begins with a dot
    behind_end,       ///< an archive, or bytes that are not zero, behind the end marker
    duplicate_field,  ///< an extension twice in one sample
    reserved_field,   ///< an extension that starts with "__"
    returning_key,    ///< a key that comes back later in the shard: the files of a sample lie apart
    index_mismatch,   ///< the shard has another number of samples than its index says, or a sample lies elsewhere
    bad_checksum,     ///< the bytes of a field are not those that were indexed (found only when reading verifies)
};

constexpr std::string_view name_of(damage d) {
    switch (d) {
        case damage::truncated: return "truncated";
        case damage::bad_header: return "bad_header";
        case damage::missing_end: return "missing_end";
        case damage::bad_end: return "bad_end";
        case damage::empty: return "empty";
        case damage::compressed: return "compressed";
        case damage::unsupported: return "unsupported";
        case damage::no_field: return "no_field";
        case damage::behind_end: return "behind_end";
        case damage::duplicate_field: return "duplicate_field";
        case damage::reserved_field: return "reserved_field";
        case damage::returning_key: return "returning_key";
        case damage::index_mismatch: return "index_mismatch";
        case damage::bad_checksum: return "bad_checksum";
    }
    return "unknown";
}

/// Content damage, which a policy may skip. `where.byte` is the offset of the header or block that shows it.
/// duplicate_field, reserved_field and bad_checksum cost one sample; every other kind ends the shard.
struct damaged_shard : stage_error {
    damaged_shard(std::string_view stage_name, penstock::damage what, place at, std::string_view because_of, std::string_view way_out)
        : stage_error(stage_name, fault::content, std::move(at), message(name_of(what), ": ", because_of), way_out), damage(what), because(because_of) {}

    penstock::damage damage;
    std::string because;  ///< the cause without the name of the damage

    bool costs_one_sample() const {
        return damage == penstock::damage::duplicate_field || damage == penstock::damage::reserved_field || damage == penstock::damage::bad_checksum;
    }
};

}  // namespace penstock
