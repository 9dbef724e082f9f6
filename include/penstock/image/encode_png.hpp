// Implements: encode_png, pixels to the bytes of a PNG file.
#pragma once

#include <penstock/core/blob.hpp>     // defines: blob
#include <penstock/core/errors.hpp>   // defines: config_error, error, message
#include <penstock/image/pixels.hpp>  // defines: pixels

#include <spng.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace penstock::image {

/// What is done to a row before it is compressed.
enum class png_filter {
    adaptive,  ///< the filter that looks best, row by row: small files of photographs
    none,      ///< the row as it is: a third faster to decode where filters gain little, as on tiny pictures
};

struct encode_png_options {
    int level = 6;  ///< zlib's, 0 (stored) to 9
    png_filter filter = png_filter::adaptive;
};

/// The picture as a PNG file: 1 channel is gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
///
/// Equal pictures give equal bytes (for one version of libspng and zlib); nothing of the machine or the time goes into the file.
///
///     auto const file = image::encode_png(picture, {.level = 9});
inline blob encode_png(pixels const& picture, encode_png_options options = {}) {
    if (options.level < 0 || options.level > 9)
        throw config_error(message("encode_png: level must be 0 to 9, got ", options.level, "\n  HINT: 6 is zlib's own choice"));
    if (picture.empty() || picture.channels() > 4)
        throw config_error(message("encode_png: a PNG has at least one pixel and 1 to 4 channels, got ", picture.height(), "x", picture.width(), "x", picture.channels(),
                                   "\n  HINT: pixels are height x width x channels"));
    constexpr std::uint8_t types[] = {SPNG_COLOR_TYPE_GRAYSCALE, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, SPNG_COLOR_TYPE_TRUECOLOR, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
    auto const context = std::unique_ptr<spng_ctx, decltype([](spng_ctx* c) { spng_ctx_free(c); })>(spng_ctx_new(SPNG_CTX_ENCODER));
    if (!context) throw std::bad_alloc();
    auto const check = [](int failed) {
        if (failed == SPNG_EMEM) throw std::bad_alloc();
        if (failed != 0) throw error(message("encode_png: ", spng_strerror(failed), "\n  HINT: libspng refused a valid picture; is its header of the same version?"));
    };
    auto head = spng_ihdr{};
    head.width = picture.width();
    head.height = picture.height();
    head.bit_depth = 8;
    head.color_type = types[picture.channels() - 1];
    check(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1));
    check(spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, options.level));
    // A window wider than the picture finds nothing more, and costs the encoder and every decoder its memory.
    auto const raw = picture.size() + picture.height();
    check(spng_set_option(context.get(), SPNG_IMG_WINDOW_BITS, (std::clamp)(static_cast<int>(std::bit_width(raw)), 9, 15)));
    check(spng_set_option(context.get(), SPNG_FILTER_CHOICE, options.filter == png_filter::none ? SPNG_DISABLE_FILTERING : SPNG_FILTER_CHOICE_ALL));
    check(spng_set_ihdr(context.get(), &head));
    check(spng_encode_image(context.get(), picture.data(), picture.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
    auto size = std::size_t{0};
    int failed = 0;
    auto bytes = std::shared_ptr<void const>(spng_get_png_buffer(context.get(), &size, &failed), [](void* p) { std::free(p); });
    check(failed);
    return {{static_cast<std::byte const*>(bytes.get()), size}, bytes};
}

}  // namespace penstock::image
