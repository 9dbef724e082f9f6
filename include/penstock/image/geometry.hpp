// Implements: geometry, where the pixels of a sample come from in its picture, and crop_flip, which fetches them.
#pragma once

#include <penstock/image/pixels.hpp>  // defines: pixels, shape

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace penstock::image {

/// Rows [top, top + height) and columns [left, left + width) of a picture; what lies outside the picture is zero.
struct box {
    std::int64_t top = 0, left = 0;
    std::uint32_t height = 0, width = 0;

    friend bool operator==(box const&, box const&) = default;
};

/// What becomes of a picture: what lies in a box, scaled to height x width, mirrored left to right or not. A box alone is taken as it is.
/// It is decided from the picture's shape before a pixel is decoded, so that a decoder need not make more than is asked for.
struct geometry {
    image::box box{};
    std::uint32_t height = 0, width = 0;  ///< of the sample; other sizes than the box's are for decoders that scale, and refused by ours
    bool mirrored = false;

    geometry() = default;
    geometry(image::box taken, bool mirror = false) : box(taken), height(taken.height), width(taken.width), mirrored(mirror) {}
    /// The picture as it is.
    explicit geometry(shape whole) : geometry(image::box{0, 0, whole.height, whole.width}) {}

    bool scales() const { return height != box.height || width != box.width; }
    friend bool operator==(geometry const&, geometry const&) = default;
};

/// Fetches `g`, which must not scale, from the picture at `from` (rows without padding) to `out`, where rows begin `stride` bytes apart.
inline void crop_flip(std::uint8_t const* from, shape of, geometry const& g, std::uint8_t* out, std::size_t stride) {
    auto const& box = g.box;
    auto const c = std::size_t{of.channels};
    auto const width = std::int64_t{box.width};
    auto const first = (std::clamp)(-box.left, std::int64_t{0}, width);  // columns [first, last) of the box lie in the picture
    auto const last = (std::clamp)(std::int64_t{of.width} - box.left, first, width);
    auto const inside = static_cast<std::size_t>(last - first);
    auto const before = static_cast<std::size_t>(g.mirrored ? width - last : first), after = box.width - before - inside;
    for (std::uint32_t y = 0; y != box.height; ++y, out += stride) {
        auto const row = box.top + y;
        if (row < 0 || row >= of.height || inside == 0) {
            std::memset(out, 0, box.width * c);
            continue;
        }
        auto const* src = from + (static_cast<std::size_t>(row) * of.width + static_cast<std::size_t>(box.left + first)) * c;
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
    auto out = pixels(g.box.height, g.box.width, picture.channels());
    crop_flip(picture.data(), picture.shape(), g, out.writable().data(), out.stride());
    return out;
}

}  // namespace penstock::image
