// Implements: open_file, a local path as a byte source, and file_opener, the opener readers use unless they are given one.
#pragma once

#include <penstock/io/byte_source.hpp>   // defines: byte_source, opener
#include <penstock/io/mmap_source.hpp>   // defines: mmap_source
#include <penstock/io/pread_source.hpp>  // defines: pread_source

#include <memory>
#include <string>

namespace penstock::io {

enum class file_access {
    automatic,  ///< pread
    mmap,       ///< map the file; the caller promises that nobody changes it
    pread,      ///< copy; safe whatever happens to the file
    pooled,     ///< the same over the descriptors that many files share (descriptor_pool): for files that are read now and then
};

struct open_options {
    file_access access = file_access::automatic;
};

/// Opens a regular file.
///
/// `automatic` copies on every file system, because mapping buys nothing measurable and cannot be made exact. Walk over a tar in a warm
/// page cache, every byte read once, ns per sample of two members:
///
///                                            cls + 620-byte png      cls + 100 kB
///     mmap                                          550                 12,300
///     mmap, fstat before every member             1,270                 13,400
///     pread into a reused window                    480                 13,700     (decoding such a JPEG takes > 500,000)
///     pread per header and per member             2,200                 15,200
///
/// A file that is shortened while it is mapped raises SIGBUS at whoever touches the bytes, at any later time; asking for its length before
/// leaves a gap. A copy is checked in the moment it is made: it is whole or a stage_error with both lengths.
/// mmap remains for files that are sealed, where many ranks share a page cache and windows are large.
inline std::shared_ptr<byte_source> open_file(std::string const& path, open_options options = {}) {
    if (options.access == file_access::mmap) return std::make_shared<mmap_source>(path);
    return std::make_shared<pread_source>(path, options.access == file_access::pooled);
}

/// open_file as an opener.
inline opener file_opener(open_options options = {}) {
    return [options](std::string const& path) { return open_file(path, options); };
}

}  // namespace penstock::io
