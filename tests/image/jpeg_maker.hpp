// Implements: JPEG files for tests, written by libjpeg's own compressor.
#pragma once

#include <penstock/image/pixels.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <jpeglib.h>

namespace penstock::test {

struct jpeg_file {
    image::pixels picture{};
    J_COLOR_SPACE in = JCS_RGB, stored = JCS_YCbCr;
    int quality = 90;
    bool progressive = false, jfif = true, adobe = false, arithmetic = false;
    bool apart = false;  // a scan per component
    int chroma = 2;   // subsampling of chroma in both directions
    int restart = 0;  // blocks between restart markers; 0: none

    std::string bytes() const {
        jpeg_compress_struct c{};
        jpeg_error_mgr errors{};
        c.err = jpeg_std_error(&errors);
        jpeg_create_compress(&c);
        unsigned char* out = nullptr;
        unsigned long size = 0;
        jpeg_mem_dest(&c, &out, &size);
        c.image_width = picture.width();
        c.image_height = picture.height();
        c.input_components = static_cast<int>(picture.channels());
        c.in_color_space = in;
        jpeg_set_defaults(&c);
        jpeg_set_colorspace(&c, stored);
        jpeg_set_quality(&c, quality, TRUE);
        c.write_JFIF_header = jfif && (stored == JCS_YCbCr || stored == JCS_GRAYSCALE);
        c.write_Adobe_marker = adobe;
        if (stored == JCS_YCbCr) c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = chroma;
        c.arith_code = arithmetic;
        c.restart_interval = static_cast<unsigned>(restart);
        if (progressive) jpeg_simple_progression(&c);
        constexpr jpeg_scan_info one_each[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
        if (apart) c.scan_info = one_each, c.num_scans = 3;
        jpeg_start_compress(&c, TRUE);
        while (c.next_scanline < c.image_height) {
            auto* row = const_cast<JSAMPLE*>(picture.row(c.next_scanline));
            jpeg_write_scanlines(&c, &row, 1);
        }
        jpeg_finish_compress(&c);
        jpeg_destroy_compress(&c);
        auto text = std::string(reinterpret_cast<char const*>(out), size);
        std::free(out);
        return text;
    }
};

/// A picture with edges, gradients and noise.
inline image::pixels scene(std::uint32_t height, std::uint32_t width, std::uint32_t channels) {
    auto out = image::pixels(height, width, channels);
    for (std::uint32_t y = 0; y != height; ++y)
        for (std::uint32_t x = 0; x != width; ++x)
            for (std::uint32_t c = 0; c != channels; ++c)
                out.set(y, x, c, static_cast<std::uint8_t>((x * 5 + y * 3 * (c + 1) + ((x / 7 + y / 5) % 2) * 60 + (x * x * 31 + y * 17 + c * 101) % 13) & 255));
    return out;
}

inline image::pixels flat(std::uint32_t height, std::uint32_t width, std::initializer_list<int> color) {
    auto out = image::pixels(height, width, static_cast<std::uint32_t>(color.size()));
    for (std::size_t i = 0; i != out.size(); ++i) out.writable()[i] = static_cast<std::uint8_t>(color.begin()[i % color.size()]);
    return out;
}

}  // namespace penstock::test
