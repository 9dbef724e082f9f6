// Implements: mark_samples, the block of a tar shard: where each sample lies and what its fields add up to; check_sample against one.
#pragma once

#include <penstock/formats/damage.hpp>       // defines: damaged_shard, damage
#include <penstock/formats/shard_block.hpp>  // defines: shard_block
#include <penstock/formats/tar_count.hpp>    // defines: walk_samples, tar_options
#include <penstock/io/crc32c.hpp>            // defines: crc32c

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

struct marked_samples {
    shard_block::writer block;
    std::uint64_t samples = 0;
    std::uint64_t end = 0;        ///< of the last member
    std::uint64_t faulty = 0;     ///< samples with a fault of their own: each takes its place, and is an error when it is read
    bool needs_leave = false;     ///< something was left out because it is allowed
};

/// Walks a shard; with `checksums` every payload is read, else the headers alone. Errors are those of count_samples.
inline marked_samples mark_samples(std::shared_ptr<io::byte_source> const& source, bool checksums, tar_options options = {}) {
    auto result = marked_samples{.block = shard_block::writer(checksums)};
    options.told = [&, told = std::move(options.told)](left_out const& one) {
        result.needs_leave = true;
        if (told) told(one);
    };
    auto sums = std::vector<std::uint32_t>{};
    bool globals = false;
    detail::walk_samples(source, std::move(options), checksums, [&](detail::tar_walker const& walker, std::optional<fields> const& whole) {
        // a sample with a fault of its own is never given: its sums stay 0
        sums.assign(walker.last_members().size(), 0);
        if (whole)
            for (std::size_t k = 0; k != sums.size(); ++k) sums[k] = io::crc32c(whole->all()[k].bytes.data(), whole->all()[k].bytes.size());
        result.block.add(walker.first_byte(), sums);
        ++result.samples;
        result.faulty += walker.fault() ? 1 : 0;
        globals = globals || walker.global_headers();
        result.end = walker.offset();
    });
    if (globals) result.block.has_global_headers();
    return result;
}

namespace detail {

inline std::string hexadecimal(std::uint32_t n) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", n);
    return text;
}

/// Throws damaged_shard unless sample number `i` is the one that `block` speaks of, bit for bit.
inline void check_sample(shard_block const& block, std::uint64_t i, fields const& given) {
    constexpr std::string_view again = "the shard was rewritten after it was indexed, or a copy went wrong: copy the shard again, or index it again";
    auto const& files = given.all();
    if (i >= block.samples() || block.offset(i) != given.byte() || block.fields(i) != files.size())
        throw damaged_shard("read_tar", damage::index_mismatch, given.where(),
                            i >= block.samples() ? message("sample number ", i, " of the shard, whose block has ", block.samples())
                                                 : message("sample number ", i, " has ", number_of(files.size(), "field"), ", the block says ", number_of(block.fields(i), "field"), " at byte ", block.offset(i)), again);
    for (std::size_t k = 0; k != files.size(); ++k) {
        auto const sum = io::crc32c(files[k].bytes.data(), files[k].bytes.size());
        if (sum != block.checksum(i, k))
            throw damaged_shard("read_tar", damage::bad_checksum, given.where(),
                                message("the ", number_of(files[k].bytes.size(), "byte"), " of field '", files[k].name, "' have the CRC-32C ", hexadecimal(sum), ", ", hexadecimal(block.checksum(i, k)), " when they were indexed"),
                                "some bits changed: copy the shard again from its source");
    }
}

}  // namespace detail

}  // namespace penstock
