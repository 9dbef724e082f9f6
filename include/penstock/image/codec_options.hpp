// Implements: what the decoders are asked for, and how they say that they cannot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace penstock::image {

/// What the samples of a decoded picture are.
enum class channels {
    rgb,        ///< 3: alpha dropped, palettes expanded, gray repeated, inks (CMYK, YCCK) converted
    gray,       ///< 1: the luma of a JPEG as it is stored; elsewhere (19595 R + 38470 G + 7471 B + 32768) >> 16 (ITU-R BT.601)
    as_stored,  ///< 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha; a palette gives 3, or 4 if it is transparent somewhere; inks give 3
};

struct codec_options {
    image::channels channels = image::channels::rgb;
    std::uint64_t max_pixels = std::uint64_t{1} << 28;  ///< a picture of more is refused before anything is allocated for it
    /// Take what a cut or damaged file still gives (of a PNG its whole IDAT chunks), the rest gray; counts a warning.
    bool allow_truncated = false;
};

namespace detail {

/// Why a picture cannot be decoded, before anybody knows which sample it was. It never leaves the room: callers turn it into stage_error.
struct undecodable {
    std::string cause;
    std::string hint;
};

inline constexpr char damaged_hint[] = "the file is cut or damaged: write it anew";
/// The same where it would help to allow it.
inline constexpr char truncated_hint[] = "the file is cut or damaged: write it anew, or set .allow_truncated to take what is left";

/// Lets go of memory that one huge picture needed and the next ones do not.
template <class Vector>
void keep_small(Vector& scratch) {
    if (scratch.capacity() > std::size_t{1} << 26) scratch = {};
}

inline std::uint8_t luma(std::uint32_t r, std::uint32_t g, std::uint32_t b) {
    return static_cast<std::uint8_t>((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
}

}  // namespace detail
}  // namespace penstock::image
