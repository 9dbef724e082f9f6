// Implements: a codec that is kept gives for every file what a fresh one gives: pixels, refusal or warning, whatever came before.
#include <penstock/image/codec.hpp>

#include "jpeg_maker.hpp"
#include "png_maker.hpp"

#include <penstock/core/random.hpp>
#include <penstock/image/encode_png.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;
using image::channels;
using image::pixels;
using penstock::random_stream;

namespace {

struct outcome {
    std::string text;  // shape, or cause and hint
    pixels picture{};
    std::uint64_t warnings = 0;
    friend bool operator==(outcome const&, outcome const&) = default;
};

/// Into memory that holds `dirt` before.
outcome decode(image::codec& codec, std::string const& file, image::codec_options const& options, std::uint8_t dirt) {
    auto const before = codec.warnings();
    try {
        auto out = pixels(codec.open(std::as_bytes(std::span(file)), options));
        std::fill_n(out.writable().data(), out.size(), dirt);
        codec.read(out.writable().data(), out.stride());
        return {penstock::message(out.height(), "x", out.width(), "x", out.channels()), out, codec.warnings() - before};
    } catch (image::detail::undecodable const& e) {
        return {e.cause + "\n" + e.hint, {}, codec.warnings() - before};
    }
}

/// A file in parts that can be left out, doubled and exchanged: the segments of a JPEG (the last with the coded data behind it), the chunks of a PNG.
std::vector<std::string> parts_of(std::string const& file) {
    auto const png = file.starts_with("\x89PNG");
    auto out = std::vector<std::string>{file.substr(0, png ? 8 : 2)};
    for (auto at = out[0].size(); at + 4 <= file.size();) {
        auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(file[at + i])}; };
        auto size = png ? 12 + (byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)) : 2 + (byte(2) << 8 | byte(3));
        if (!png && byte(1) == 0xda)  // the data of a scan reach to the next marker that is none of theirs
            while (at + size + 1 < file.size() && !(byte(size) == 0xff && byte(size + 1) != 0 && (byte(size + 1) & 0xf8) != 0xd0)) ++size;
        out.push_back(file.substr(at, size));
        at += size;
    }
    if (!png) out.push_back("\xff\xd9");
    return out;
}
std::string joined(std::vector<std::string> const& parts) {
    auto out = std::string();
    for (auto const& p : parts) out += p;
    return out;
}

pixels photo() {
    std::ifstream in(PENSTOCK_TEST_DATA "/photos/swan-3584559_640.jpg", std::ios::binary);
    return image::decode_image(penstock::blob::of(std::string(std::istreambuf_iterator<char>(in), {})));
}

std::vector<std::string> whole_files() {
    auto const large = photo();
    auto const cut = [&](std::int64_t top, std::uint32_t height, std::uint32_t width) { return image::crop_flip(large, image::box{top, 3 * top, height, width}); };
    auto const gray = image::pixels(test::scene(24, 40, 1));
    auto out = std::vector<std::string>();
    for (int quality : {20, 75, 95})
        for (bool progressive : {false, true})
            for (bool arithmetic : {false, true}) {
                auto file = test::jpeg_file{.picture = cut(quality, 33, 47), .quality = quality, .progressive = progressive, .arithmetic = arithmetic, .restart = quality == 75 ? 2 : 0};
                out.push_back(file.bytes());
                file.chroma = 1;
                file.adobe = true;
                file.jfif = false;
                out.push_back(file.bytes());
                file.stored = JCS_RGB;
                out.push_back(file.bytes());
                out.push_back(test::jpeg_file{.picture = gray, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .quality = quality, .progressive = progressive, .arithmetic = arithmetic, .restart = quality == 20 ? 3 : 0}.bytes());
                out.push_back(test::jpeg_file{.picture = test::scene(17, 19, 4), .in = JCS_CMYK, .stored = progressive ? JCS_YCCK : JCS_CMYK, .quality = quality, .adobe = !arithmetic}.bytes());
            }
    for (std::uint32_t c : {1u, 2u, 3u, 4u}) out.emplace_back(image::encode_png(test::scene(20, 30, c)).text());
    out.emplace_back(image::encode_png(cut(60, 40, 31)).text());
    for (auto [type, depth] : {std::pair{0u, 2u}, {0u, 16u}, {2u, 16u}, {3u, 4u}, {3u, 8u}, {4u, 16u}, {6u, 8u}})
        for (bool interlaced : {false, true}) {
            auto file = test::png_file{.width = 21, .height = 13, .depth = depth, .type = type, .interlaced = interlaced, .idat = 90};
            if (type == 3) file.palette = std::string(3u << depth, '\x55').replace(6, 9, "palettes!"), file.transparency = depth == 4 ? "\x10\x80" : "";
            for (std::size_t i = 0; i != std::size_t{21} * 13 * file.channels(); ++i) file.samples.push_back(static_cast<std::uint16_t>(i * i * 77 % (1u << depth)));
            out.push_back(file.bytes());
        }
    return out;
}

/// One file of the shelf with up to three accidents.
std::string accident(std::vector<std::string> const& shelf, random_stream& random) {
    auto const index = [&](std::size_t n) { return std::size_t{random.below(static_cast<std::uint32_t>(n))}; };
    auto const& other = shelf[index(shelf.size())];
    auto file = shelf[index(shelf.size())];
    for (auto n = random.below(4); n != 0; --n) {
        auto parts = parts_of(file), spare = parts_of(other);
        auto& one = parts[index(parts.size())];
        switch (random.below(9)) {
            case 0: file.resize(index(file.size())); break;
            case 1:
                for (auto bits = 1 + random.below(8); bits != 0; --bits) file[index(file.size())] ^= static_cast<char>(1u << random.below(8));
                break;
            case 2:  // in the first segments, where the tables are
                for (auto bits = 1 + random.below(3); bits != 0; --bits) file[index((std::min)(file.size(), std::size_t{700}))] ^= static_cast<char>(1u << random.below(8));
                break;
            case 3: one.clear(), file = joined(parts); break;
            case 4:  // a table that is there under another name: hidden, or of another number
                if (one.size() > 4) one[random.below(2) == 0 ? 1 : 4] ^= static_cast<char>(1u << random.below(6)), file = joined(parts);
                break;
            case 5: one = spare[index(spare.size())], file = joined(parts); break;
            case 6: one += spare[index(spare.size())], file = joined(parts); break;
            case 7:  // the head of one, the rest of another
                parts.resize(index(parts.size()) + 1);
                parts.insert(parts.end(), spare.begin() + static_cast<std::ptrdiff_t>(index(spare.size())), spare.end());
                file = joined(parts);
                break;
            case 8:  // a chunk whose checksum is right
                if (file.starts_with("\x89PNG") && one.size() > 12) {
                    auto body = one.substr(8, one.size() - 12);
                    body[index(body.size())] ^= static_cast<char>(1u << random.below(8));
                    one = test::png_chunk(one.substr(4, 4), body), file = joined(parts);
                } else std::erase_if(parts, [&](std::string const& p) { return p.size() > 1 && p[1] == (random.below(2) ? '\xdb' : '\xc4'); }), file = joined(parts);
                break;
        }
        if (file.size() < 4) break;
    }
    return file;
}

}  // namespace

TEST_CASE("codec: a kept codec gives what a fresh one gives, whatever files came before", "[unit][codec]") {
    auto const shelf = whole_files();
    image::codec kept;
    auto seen = std::map<std::string, int>();
    for (std::uint64_t round = 0; round != 6000; ++round) {
        auto random = random_stream(0x5EED, 0, round);
        auto const file = accident(shelf, random);
        auto const options = image::codec_options{.channels = std::array{channels::rgb, channels::gray, channels::as_stored}[random.below(3)],
                                                  .max_pixels = random.below(8) == 0 ? 800u : 100'000u,
                                                  .allow_truncated = random.below(3) == 0};
        image::codec fresh;
        auto const right = decode(fresh, file, options, 0x00), got = decode(kept, file, options, 0xff);
        if (got != right) FAIL("round " << round << ": kept " << got.text << ", fresh " << right.text << (got.picture == right.picture ? "" : ", other pixels") << ", warnings " << got.warnings << " and " << right.warnings);
        ++seen[right.picture.empty() ? right.text.substr(0, right.text.find('\n')) : right.warnings ? "pixels, warned" : "pixels"];
    }
    CHECK(seen["pixels"] > 1500);
    CHECK(seen["pixels, warned"] > 150);
    CHECK(seen.size() > 100);  // ways to refuse
}
