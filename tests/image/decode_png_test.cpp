// Implements: tests of png_decoder: every colour type and depth, damage, limits.
#include <penstock/image/decode_png.hpp>

#include "png_maker.hpp"

#include <penstock/core/random.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;
using image::channels;
using image::pixels;

namespace {

pixels decode(std::string const& file, image::codec_options const& options = {}) {
    image::png_decoder decoder;
    auto out = pixels(decoder.open(std::as_bytes(std::span(file)), options));
    decoder.read(out.writable().data(), out.stride());
    return out;
}
std::optional<std::string> failure(std::string const& file, image::codec_options const& options = {}) {
    try {
        (void)decode(file, options);
    } catch (image::detail::undecodable const& e) {
        return e.cause;
    }
    return std::nullopt;
}

test::png_file noise(std::uint32_t width, std::uint32_t height, unsigned type, unsigned depth) {
    auto file = test::png_file{.width = width, .height = height, .depth = depth, .type = type};
    auto random = penstock::random_stream(1, type, depth);
    if (type == 3)
        for (unsigned i = 0; i != 3u << depth; ++i) file.palette += static_cast<char>(random.below(256));
    file.samples.resize(std::size_t{width} * height * file.channels());
    for (auto& s : file.samples) s = static_cast<std::uint16_t>(random.below(1u << depth));
    return file;
}

/// The rule in the plainest words.
pixels expected(test::png_file const& f, channels wanted) {
    auto const pixels_of = std::size_t{f.width} * f.height;
    auto const stored = f.type == 3 ? (f.transparency.empty() ? 3u : 4u) : f.channels();
    auto out = pixels(f.height, f.width, wanted == channels::rgb ? 3 : wanted == channels::gray ? 1 : stored);
    auto* at = out.writable().data();
    for (std::size_t i = 0; i != pixels_of; ++i) {
        std::vector<unsigned> v;
        for (unsigned c = 0; c != f.channels(); ++c) {
            auto const s = unsigned{f.samples[i * f.channels() + c]};
            v.push_back(f.type == 3 ? s : f.depth == 16 ? s >> 8 : s * 255 / ((1u << f.depth) - 1));
        }
        if (f.type == 3) {
            auto const entry = v[0];
            v = {};
            for (unsigned c = 0; c != 3; ++c) v.push_back(static_cast<unsigned char>(f.palette[entry * 3 + c]));
            if (!f.transparency.empty()) v.push_back(entry < f.transparency.size() ? static_cast<unsigned char>(f.transparency[entry]) : 255);
        }
        auto const color = v.size() >= 3;
        if (wanted == channels::rgb) v = {v[0], v[color ? 1 : 0], v[color ? 2 : 0]};
        if (wanted == channels::gray) v = {color ? (19595 * v[0] + 38470 * v[1] + 7471 * v[2] + 32768) >> 16 : v[0]};
        for (auto x : v) *at++ = static_cast<std::uint8_t>(x);
    }
    return out;
}

}  // namespace

TEST_CASE("decode_png: every colour type and depth, interlaced or not, to every choice of channels", "[unit][decode_png]") {
    for (auto [type, depth] : {std::pair{0u, 1u}, {0u, 2u}, {0u, 4u}, {0u, 8u}, {0u, 16u}, {2u, 8u}, {2u, 16u}, {3u, 1u}, {3u, 2u}, {3u, 4u}, {3u, 8u}, {4u, 8u}, {4u, 16u}, {6u, 8u}, {6u, 16u}})
        for (auto [width, height] : {std::pair{1u, 1u}, {5u, 3u}, {17u, 9u}})
            for (bool interlaced : {false, true}) {
                auto file = noise(width, height, type, depth);
                file.interlaced = interlaced;
                for (auto wanted : {channels::rgb, channels::gray, channels::as_stored}) {
                    INFO("type " << type << " depth " << depth << " size " << width << "x" << height << " interlaced " << interlaced << " wanted " << static_cast<int>(wanted));
                    CHECK(decode(file.bytes(), {.channels = wanted}) == expected(file, wanted));
                }
            }
}

TEST_CASE("decode_png: transparency is dropped, or kept where it is stored in a palette", "[unit][decode_png]") {
    auto palette = noise(6, 4, 3, 2);
    palette.transparency = std::string("\x00\x80", 2);
    for (auto wanted : {channels::rgb, channels::gray, channels::as_stored}) CHECK(decode(palette.bytes(), {.channels = wanted}) == expected(palette, wanted));
    CHECK(decode(palette.bytes(), {.channels = channels::as_stored}).channels() == 4);

    auto gray = noise(6, 4, 0, 8);
    auto const plain = gray;
    gray.transparency = std::string("\x00\x05", 2);
    for (auto wanted : {channels::rgb, channels::gray, channels::as_stored}) CHECK(decode(gray.bytes(), {.channels = wanted}) == expected(plain, wanted));
}

TEST_CASE("decode_png: image data in chunks of one byte", "[unit][decode_png]") {
    auto file = noise(9, 9, 2, 8);
    file.idat = 1;
    CHECK(decode(file.bytes()) == expected(file, channels::rgb));
}

TEST_CASE("decode_png: a cut file is an error wherever it is cut", "[unit][decode_png]") {
    auto file = noise(13, 7, 2, 8);
    file.idat = 40;
    auto const whole = file.bytes();
    auto const end = whole.size() - 4;  // the checksum of IEND, which has no data, is not looked at
    for (std::size_t n = 0; n != end; ++n) {
        INFO("cut to " << n << " of " << whole.size());
        CHECK(failure(whole.substr(0, n)).has_value());
    }
    for (auto n = end; n <= whole.size(); ++n) CHECK(decode(whole.substr(0, n)) == expected(file, channels::rgb));
    CHECK_FALSE(failure(whole + "garbage after the end").has_value());
}

TEST_CASE("decode_png: a flipped bit is an error, never other pixels", "[unit][decode_png]") {
    auto const interlaced = GENERATE(false, true);
    auto file = noise(7, 5, 3, 4);
    file.interlaced = interlaced;
    auto const whole = file.bytes();
    auto const right = decode(whole);
    for (std::size_t bit = 0; bit != whole.size() * 8; ++bit) {
        auto broken = whole;
        broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
        auto const why = failure(broken);
        if (!why && !(decode(broken) == right)) FAIL("bit " << bit << " changed the picture in silence");
    }
}

TEST_CASE("decode_png: damage behind right checksums is an error", "[unit][decode_png]") {
    auto const head = test::png_file{.width = 4, .height = 4}.header();
    auto const end = test::png_chunk("IEND", "");
    auto const with = [&](std::string const& data) { return head + test::png_chunk("IDAT", data) + end; };
    CHECK(failure(head + end).has_value());
    CHECK(failure(with("")).has_value());
    CHECK(failure(with("not deflate")).has_value());
    CHECK(failure(with(test::deflated(std::string(7, '\0')))).has_value());           // too few rows
    CHECK(failure(with(test::deflated("\x09zzzz\x09zzzz\x09zzzz\x09zzzz"))).has_value());  // no such filter
    auto palette = noise(4, 4, 3, 4);
    palette.palette.clear();
    CHECK(failure(palette.bytes()).has_value());
    palette = test::png_file{.width = 2, .height = 1, .depth = 4, .type = 3, .samples = {0, 9}, .palette = "abc"};
    CHECK(decode(palette.bytes()).at(0, 0, 2) == 'c');
    CHECK(decode(palette.bytes()).at(0, 1, 0) == 0);  // behind the palette: black
}

TEST_CASE("decode_png: bad text and EXIF chunks do not matter", "[unit][decode_png]") {
    auto file = noise(4, 4, 0, 8);
    auto bad_crc = test::png_chunk("tEXt", std::string("a\0b", 3));
    bad_crc.back() ^= 1;
    for (auto const& chunk : {test::png_chunk("tEXt", ""), test::png_chunk("eXIf", "nonsense"), test::png_chunk("zTXt", "k"), test::png_chunk("iCCP", "x"), bad_crc, test::png_chunk("teSt", "private")}) {
        file.before_data = chunk;
        INFO(chunk.substr(4, 4));
        CHECK(failure(file.bytes()) == std::nullopt);
    }
}

TEST_CASE("decode_png: a picture over the limit is refused before its memory is taken", "[unit][decode_png]") {
    auto const claim = test::png_file{.width = 60000, .height = 60000}.header() + test::png_chunk("IDAT", "") + test::png_chunk("IEND", "");
    auto const why = failure(claim);
    REQUIRE(why);
    CHECK(*why == "PNG of 60000x60000: at most 268435456 pixels are decoded");
    auto const small = noise(10, 10, 0, 8);
    CHECK_FALSE(failure(small.bytes(), {.max_pixels = 100}).has_value());
    CHECK(failure(small.bytes(), {.max_pixels = 99}).has_value());
    CHECK(failure(test::png_file{.width = 0, .height = 5}.header()).has_value());
    CHECK(failure(test::png_file{.width = 0xFFFFFFFF, .height = 0xFFFFFFFF}.header()).has_value());
}

TEST_CASE("decode_png: what a cut file still holds can be asked for", "[unit][decode_png]") {
    auto file = noise(16, 64, 0, 8);
    file.idat = 100;
    auto const right = expected(file, channels::gray);
    auto const whole = file.bytes();
    image::png_decoder decoder;
    auto const options = image::codec_options{.channels = channels::gray, .allow_truncated = true};
    auto const half = whole.substr(0, whole.size() / 2);
    auto out = pixels(decoder.open(std::as_bytes(std::span(half)), options));
    decoder.read(out.writable().data(), out.stride());
    CHECK(decoder.warnings() == 1);
    CHECK(std::equal(out.row(0), out.row(24), right.row(0)));
    CHECK(out.at(63, 15, 0) == 128);
}

TEST_CASE("decode_png: rows go where they are wanted, and nothing is written between them", "[unit][decode_png]") {
    for (auto [type, depth] : {std::pair{0u, 1u}, {0u, 16u}, {2u, 8u}, {3u, 4u}, {4u, 8u}, {6u, 16u}})
        for (bool interlaced : {false, true})
            for (auto wanted : {channels::rgb, channels::gray, channels::as_stored}) {
                auto file = noise(17, 9, type, depth);
                file.interlaced = interlaced;
                auto const right = expected(file, wanted);
                auto const stride = right.stride() + 3;
                auto wide = std::vector<std::uint8_t>(stride * 9, 99), rows = wide;
                for (std::uint32_t y = 0; y != 9; ++y) std::copy_n(right.row(y), right.stride(), rows.data() + y * stride);
                for (bool truncated : {false, true}) {
                    image::png_decoder decoder;
                    auto const bytes = file.bytes();
                    (void)decoder.open(std::as_bytes(std::span(bytes)), {.channels = wanted, .allow_truncated = truncated});
                    std::fill(wide.begin(), wide.end(), std::uint8_t{99});
                    decoder.read(wide.data(), stride);
                    CHECK(wide == rows);
                }
            }
}

TEST_CASE("decode_png: an error names the damage, whatever is asked for and whatever came before", "[unit][decode_png]") {
    auto file = noise(6, 4, 3, 4);
    auto broken = file.bytes();
    broken[broken.find("PLTE") + 6] ^= 1;
    for (auto wanted : {channels::rgb, channels::gray, channels::as_stored}) CHECK(failure(broken, {.channels = wanted}) == "PNG of 6x4: invalid chunk checksum");
    image::png_decoder decoder;
    auto const whole = file.bytes();
    (void)decoder.open(std::as_bytes(std::span(whole)), {});
    broken = whole;
    broken[11] ^= 1;
    try {
        (void)decoder.open(std::as_bytes(std::span(broken)), {});
        FAIL("a header of another size was taken");
    } catch (image::detail::undecodable const& e) {
        CHECK(e.cause == "PNG: invalid IHDR chunk size");
        CHECK(e.hint == image::detail::damaged_hint);
    }
}
