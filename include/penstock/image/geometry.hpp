// Implements: geometry, where the pixels of a sample come from in its picture, and crop_flip, which fetches them.
#pragma once

#include <penstock/image/pixels.hpp>  // defines: pixels, shape

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace penstock::image {

/// Rows [top, top + height) and columns [left, left + width) of a picture; what lies outside the picture is zero.
struct window {
    std::int64_t top = 0, left = 0;
    std::uint32_t height = 0, width = 0;

    friend bool operator==(window const&, window const&) = default;
};

/// What becomes of a picture: `part` of it, scaled to height x width, mirrored left to right or not. A window alone is taken as it is.
/// It is decided from the picture's shape before a pixel is decoded, so that a decoder need not make more than is asked for.
struct geometry {
    window part{};
    std::uint32_t height = 0, width = 0;  ///< of the sample; other sizes than the part's are for decoders that scale, and refused by ours
    bool mirrored = false;

    geometry() = default;
    geometry(window taken, bool mirror = false) : part(taken), height(taken.height), width(taken.width), mirrored(mirror) {}
    /// The picture as it is.
    explicit geometry(shape whole) : geometry(window{0, 0, whole.height, whole.width}) {}

    bool scales() const { return height != part.height || width != part.width; }
    friend bool operator==(geometry const&, geometry const&) = default;
};

/// Fetches `g`, which must not scale, from the picture at `from` (rows without padding) to `out`, where rows begin `stride` bytes apart.
inline void crop_flip(std::uint8_t const* from, shape of, geometry const& g, std::uint8_t* out, std::size_t stride) {
    auto const& part = g.part;
    auto const c = std::size_t{of.channels};
    auto const width = std::int64_t{part.width};
    auto const first = (std::clamp)(-part.left, std::int64_t{0}, width);  // columns [first, last) of the window lie in the picture
    auto const last = (std::clamp)(std::int64_t{of.width} - part.left, first, width);
    auto const inside = static_cast<std::size_t>(last - first);
    auto const before = static_cast<std::size_t>(g.mirrored ? width - last : first), after = part.width - before - inside;
    for (std::uint32_t y = 0; y != part.height; ++y, out += stride) {
        auto const row = part.top + y;
        if (row < 0 || row >= of.height || inside == 0) {
            std::memset(out, 0, part.width * c);
            continue;
        }
        auto const* src = from + (static_cast<std::size_t>(row) * of.width + static_cast<std::size_t>(part.left + first)) * c;
        auto* dst = out + before * c;
        if (before != 0) std::memset(out, 0, before * c);
        if (!g.mirrored) std::memcpy(dst, src, inside * c);
        else if (c == 1) std::reverse_copy(src, src + inside, dst);
        else
            for (src += inside * c; dst != out + (before + inside) * c; dst += c) {
                src -= c;
                for (std::size_t i = 0; i != c; ++i) dst[i] = src[i];
            }
        if (after != 0) std::memset(out + (before + inside) * c, 0, after * c);
    }
}

/// The same from pixels to pixels.
inline pixels crop_flip(pixels const& picture, geometry const& g) {
    auto out = pixels(g.part.height, g.part.width, picture.channels());
    crop_flip(picture.data(), picture.shape(), g, out.writable().data(), out.stride());
    return out;
}

}  // namespace penstock::image
