// Implements: spot_sum(file), a checksum of a few places of a file: whether a copy is the same, at the cost of at most 256 KiB.
#pragma once

#include <penstock/io/byte_source.hpp>  // defines: byte_source
#include <penstock/io/crc32c.hpp>       // defines: crc32c

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace penstock::io {

/// CRC-32C of the length and of 16 pieces of 16 KiB, evenly spread from the first byte to the last; of a file of at most 256 KiB, of all of it.
/// Never 0. A file that was written anew differs in some of them; single bytes that changed between them do not show.
inline std::uint32_t spot_sum(byte_source& file) {
    constexpr std::uint64_t pieces = 16, piece = 16 << 10;
    auto const size = file.size();
    auto sum = crc32c(&size, sizeof size);
    bool const whole = size <= pieces * piece;
    for (std::uint64_t i = 0; i != pieces; ++i) {
        auto const at = whole ? (std::min)(size, i * piece) : (size - piece) / (pieces - 1) * i + (size - piece) % (pieces - 1) * i / (pieces - 1);
        auto const length = static_cast<std::size_t>((std::min)(piece, size - at));
        if (length != 0) sum = crc32c(file.peek(at, length).data(), length, sum);
    }
    return sum == 0 ? 1 : sum;
}

}  // namespace penstock::io
