// Implements: PNG files for tests, written by hand so that every colour type, depth, interlacing and defect can be had.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace penstock::test {

inline std::string be32(std::uint32_t v) {
    return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}

inline std::string png_chunk(std::string_view type, std::string_view data) {
    auto const body = std::string(type) + std::string(data);
    auto const crc = crc32(0, reinterpret_cast<Bytef const*>(body.data()), static_cast<uInt>(body.size()));
    return be32(static_cast<std::uint32_t>(data.size())) + body + be32(static_cast<std::uint32_t>(crc));
}

inline std::string deflated(std::string_view raw) {
    auto out = std::string(compressBound(static_cast<uLong>(raw.size())), '\0');
    auto size = static_cast<uLongf>(out.size());
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<Bytef const*>(raw.data()), static_cast<uLong>(raw.size()));
    out.resize(size);
    return out;
}

struct png_file {
    std::uint32_t width = 1, height = 1;
    unsigned depth = 8, type = 0;          // type: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha
    std::vector<std::uint16_t> samples{};  // height x width x stored channels
    bool interlaced = false;
    std::string palette{}, transparency{};  // the bytes of PLTE and tRNS
    std::string before_data{};              // further chunks before IDAT
    std::size_t idat = 1u << 30;            // bytes per IDAT
    bool end = true;

    unsigned channels() const { return type == 2 ? 3 : type == 4 ? 2 : type == 6 ? 4 : 1; }

    std::string header() const {
        auto ihdr = be32(width) + be32(height);
        ihdr += {static_cast<char>(depth), static_cast<char>(type), '\0', '\0', static_cast<char>(interlaced)};
        return std::string("\x89PNG\r\n\x1a\n", 8) + png_chunk("IHDR", ihdr);
    }

    /// Rows x0 + i dx, columns y0 + j dy with filter byte 0.
    std::string rows(std::uint32_t x0, std::uint32_t y0, std::uint32_t dx, std::uint32_t dy) const {
        auto out = std::string();
        for (auto y = y0; y < height; y += dy) {
            if (x0 >= width) break;
            out += '\0';
            unsigned bits = 0, have = 0;
            for (auto x = x0; x < width; x += dx)
                for (unsigned c = 0; c != channels(); ++c) {
                    auto const s = samples[(std::size_t{y} * width + x) * channels() + c];
                    if (depth == 16) out += {static_cast<char>(s >> 8), static_cast<char>(s)};
                    else if (depth == 8) out += static_cast<char>(s);
                    else {
                        bits = bits << depth | s;
                        if ((have += depth) == 8) out += static_cast<char>(bits), bits = have = 0;
                    }
                }
            if (have != 0) out += static_cast<char>(bits << (8 - have));
        }
        return out;
    }

    std::string bytes() const {
        auto raw = std::string();
        if (!interlaced) raw = rows(0, 0, 1, 1);
        else
            for (auto [x, y, dx, dy] : {std::tuple{0u, 0u, 8u, 8u}, {4u, 0u, 8u, 8u}, {0u, 4u, 4u, 8u}, {2u, 0u, 4u, 4u}, {0u, 2u, 2u, 4u}, {1u, 0u, 2u, 2u}, {0u, 1u, 1u, 2u}})
                raw += rows(x, y, dx, dy);
        auto out = header() + before_data;
        if (!palette.empty()) out += png_chunk("PLTE", palette);
        if (!transparency.empty()) out += png_chunk("tRNS", transparency);
        auto const packed = deflated(raw);
        for (std::size_t at = 0; at < packed.size(); at += idat) out += png_chunk("IDAT", std::string_view(packed).substr(at, idat));
        return end ? out + png_chunk("IEND", "") : out;
    }
};

}  // namespace penstock::test
