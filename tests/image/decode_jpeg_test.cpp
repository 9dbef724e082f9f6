// Implements: tests of jpeg_decoder: colour spaces, progressive files, damage, limits.
#include <penstock/image/decode_jpeg.hpp>

#include "jpeg_maker.hpp"

#include <penstock/core/random.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;
using image::channels;
using image::pixels;

namespace {

pixels decode(image::jpeg_decoder& decoder, std::string const& file, image::codec_options const& options = {}) {
    auto out = pixels(decoder.open(std::as_bytes(std::span(file)), options));
    decoder.read(out.writable().data(), out.stride());
    return out;
}
pixels decode(std::string const& file, image::codec_options const& options = {}) {
    image::jpeg_decoder decoder;
    return decode(decoder, file, options);
}
std::optional<std::string> failure(image::jpeg_decoder& decoder, std::string const& file, image::codec_options const& options = {}) {
    try {
        (void)decode(decoder, file, options);
    } catch (image::detail::undecodable const& e) {
        return e.cause;
    }
    return std::nullopt;
}

int furthest(pixels const& a, pixels const& b) {
    if (a.shape() != b.shape()) return 1000;
    int most = 0;
    for (std::size_t i = 0; i != a.size(); ++i) most = std::max(most, std::abs(int{a.data()[i]} - int{b.data()[i]}));
    return most;
}

std::string photo(std::string const& name) {
    std::ifstream in(std::string(PENSTOCK_TEST_DATA "/photos/") + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("decode_jpeg: gray and colour to every choice of channels", "[unit][decode_jpeg]") {
    auto const gray = test::jpeg_file{.picture = test::flat(20, 30, {77}), .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .quality = 100}.bytes();
    CHECK(decode(gray, {.channels = channels::gray}) == test::flat(20, 30, {77}));
    CHECK(decode(gray, {.channels = channels::as_stored}) == test::flat(20, 30, {77}));
    CHECK(decode(gray, {.channels = channels::rgb}) == test::flat(20, 30, {77, 77, 77}));

    auto const color = test::jpeg_file{.picture = test::flat(17, 9, {200, 100, 50}), .quality = 100}.bytes();
    CHECK(furthest(decode(color), test::flat(17, 9, {200, 100, 50})) <= 1);
    CHECK(decode(color) == decode(color, {.channels = channels::as_stored}));
    CHECK(furthest(decode(color, {.channels = channels::gray}), test::flat(17, 9, {124})) <= 1);  // 0.299 200 + 0.587 100 + 0.114 50 = 124.2
}

TEST_CASE("decode_jpeg: a progressive file gives the pixels of the baseline file", "[unit][decode_jpeg]") {
    auto file = test::jpeg_file{.picture = test::scene(61, 83, 3)};
    auto const baseline = decode(file.bytes());
    file.progressive = true;
    CHECK(decode(file.bytes()) == baseline);
    auto sum = 0.0;
    for (std::size_t i = 0; i != baseline.size(); ++i) sum += std::abs(int{baseline.data()[i]} - int{file.picture.data()[i]});
    CHECK(sum / static_cast<double>(baseline.size()) < 25);
}

TEST_CASE("decode_jpeg: colour without a JFIF marker", "[unit][decode_jpeg]") {
    auto const picture = test::flat(16, 16, {200, 100, 50});
    // RGB by Adobe's marker, then by the component ids 'R' 'G' 'B' alone
    CHECK(furthest(decode(test::jpeg_file{.picture = picture, .stored = JCS_RGB, .quality = 100, .adobe = true}.bytes()), picture) <= 1);
    CHECK(furthest(decode(test::jpeg_file{.picture = picture, .stored = JCS_RGB, .quality = 100}.bytes()), picture) <= 1);
    // ids that are neither 1 2 3 nor R G B: YCbCr
    auto odd = test::jpeg_file{.picture = picture, .quality = 100, .jfif = false}.bytes();
    auto const frame = odd.find("\xff\xc0"), scan = odd.find("\xff\xda");
    REQUIRE(frame != odd.npos);
    for (std::size_t i = 0; i != 3; ++i) odd[frame + 10 + 3 * i] = odd[scan + 5 + 2 * i] = static_cast<char>(10 + i);
    CHECK(furthest(decode(odd), picture) <= 1);
}

TEST_CASE("decode_jpeg: inks, with and without Adobe's marker", "[unit][decode_jpeg]") {
    auto const rgb = test::flat(16, 8, {207, 164, 114});  // of the inks (10, 60, 120, 40)
    auto const adobe = test::jpeg_file{.picture = test::flat(16, 8, {245, 195, 135, 215}), .in = JCS_CMYK, .stored = JCS_CMYK, .quality = 100, .adobe = true}.bytes();
    auto const plain = test::jpeg_file{.picture = test::flat(16, 8, {10, 60, 120, 40}), .in = JCS_CMYK, .stored = JCS_CMYK, .quality = 100}.bytes();
    auto const ycck = test::jpeg_file{.picture = test::flat(16, 8, {245, 195, 135, 215}), .in = JCS_CMYK, .stored = JCS_YCCK, .quality = 100, .adobe = true}.bytes();
    CHECK(decode(adobe) == rgb);
    CHECK(decode(plain) == rgb);
    CHECK(furthest(decode(ycck), rgb) <= 2);
    CHECK(decode(adobe, {.channels = channels::as_stored}) == rgb);
    CHECK(decode(adobe, {.channels = channels::gray}) == test::flat(16, 8, {171}));  // 0.299 207 + 0.587 164 + 0.114 114 = 171.2
    for (int k : {0, 1, 127, 254, 255}) {  // the products round to nearest
        auto const file = test::jpeg_file{.picture = test::flat(8, 8, {255, 3, 128, k}), .in = JCS_CMYK, .stored = JCS_CMYK, .quality = 100, .adobe = true}.bytes();
        auto const near = [&](int c) { return (2 * c * k + 255) / 510; };
        CHECK(decode(file) == test::flat(8, 8, {near(255), near(3), near(128)}));
    }
}

TEST_CASE("decode_jpeg: a cut file is an error wherever it is cut, and the decoder goes on", "[unit][decode_jpeg]") {
    auto const progressive = GENERATE(false, true);
    auto const whole = test::jpeg_file{.picture = test::scene(40, 33, 3), .progressive = progressive}.bytes();
    image::jpeg_decoder decoder;
    auto const right = decode(decoder, whole);
    for (std::size_t n = 0; n < whole.size(); ++n) {
        INFO("cut to " << n << " of " << whole.size());
        CHECK(failure(decoder, whole.substr(0, n)).has_value());
    }
    CHECK(decode(decoder, whole) == right);
    auto const tail = failure(decoder, whole.substr(0, whole.size() - 10));
    REQUIRE(tail);
    CHECK(tail->starts_with("JPEG of 33x40: "));
    CHECK(tail->find("remature end") != tail->npos);
}

TEST_CASE("decode_jpeg: flipped bits never crash, and a good file decodes after them", "[unit][decode_jpeg]") {
    auto const progressive = GENERATE(false, true);
    auto const whole = test::jpeg_file{.picture = test::scene(24, 24, 3), .progressive = progressive}.bytes();
    image::jpeg_decoder decoder;
    auto const right = decode(decoder, whole);
    std::size_t errors = 0;
    for (std::size_t bit = 0; bit < whole.size() * 8; bit += 3) {
        auto broken = whole;
        broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
        errors += failure(decoder, broken, {.max_pixels = 1 << 22}).has_value();
    }
    CHECK(errors > 100);
    CHECK(decode(decoder, whole) == right);
}

TEST_CASE("decode_jpeg: oddities are counted, not refused", "[unit][decode_jpeg]") {
    auto file = test::jpeg_file{.picture = test::scene(16, 16, 3)}.bytes();
    auto const right = decode(file);
    file.insert(file.find("\xff\xda"), "junk");
    image::jpeg_decoder decoder;
    CHECK(decode(decoder, file) == right);
    CHECK(decoder.warnings() == 1);
    auto broken_exif = test::jpeg_file{.picture = test::scene(16, 16, 3)}.bytes();
    broken_exif.insert(2, std::string("\xff\xe1\x00\x0a" "Exif\0\0II", 12));
    CHECK(decode(decoder, broken_exif) == right);
}

TEST_CASE("decode_jpeg: what a cut file still holds can be asked for", "[unit][decode_jpeg]") {
    auto const file = test::jpeg_file{.picture = test::scene(64, 64, 3)}.bytes();
    auto const right = decode(file);
    image::jpeg_decoder decoder;
    auto const half = decode(decoder, file.substr(0, file.size() * 2 / 3), {.allow_truncated = true});
    CHECK(decoder.warnings() > 0);
    CHECK(std::equal(half.row(0), half.row(16), right.row(0)));
    CHECK_FALSE(half == right);
    CHECK(failure(decoder, file.substr(0, file.size() * 2 / 3)).has_value());  // the permission ends with its call
}

TEST_CASE("decode_jpeg: a picture without tables does not get those of the picture before", "[unit][decode_jpeg]") {
    auto const whole = test::jpeg_file{.picture = test::scene(24, 24, 3), .quality = 90, .arithmetic = GENERATE(false, true)}.bytes();
    auto hidden = whole;  // one bit makes a private segment of the quantisation table
    hidden[hidden.find("\xff\xdb") + 1] ^= 0x30;
    image::jpeg_decoder kept;
    auto const right = decode(whole);
    for (int round = 0; round != 2; ++round) {
        (void)decode(kept, test::jpeg_file{.picture = test::scene(24, 24, 3), .quality = 20}.bytes());
        CHECK(failure(kept, hidden) == "JPEG of 24x24: Quantization table 0x00 was not defined");
        CHECK(decode(kept, whole) == right);
    }
    // Files of frame grabbers come without Huffman tables and mean the usual ones, not those of the picture before, which here are its own.
    auto const plain = test::jpeg_file{.picture = test::scene(24, 24, 1), .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}.bytes();
    auto bare = plain;
    for (auto at = bare.find("\xff\xc4"); at != bare.npos; at = bare.find("\xff\xc4")) bare.erase(at, 2 + std::size_t{static_cast<unsigned char>(bare[at + 2])} * 256 + static_cast<unsigned char>(bare[at + 3]));
    (void)decode(kept, test::jpeg_file{.picture = test::scene(64, 64, 1), .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true}.bytes());
    CHECK(decode(kept, bare) == decode(plain));
}

TEST_CASE("decode_jpeg: scans that are missing are an error", "[unit][decode_jpeg]") {
    auto const with = [](test::jpeg_file const& file, std::size_t left_out) {
        auto const whole = file.bytes();
        auto out = std::string();
        std::size_t number = 0;
        for (std::size_t at = 0, end; at < whole.size(); at = end, ++number) {  // what is before the first scan, then every scan and what is before the next
            end = (std::min)(whole.find("\xff\xda", at + 1), whole.size());
            if (number != left_out) out += whole.substr(at, end - at);
        }
        return out.ends_with("\xff\xd9") ? out : out + "\xff\xd9";
    };
    image::jpeg_decoder decoder;
    auto const progressive = test::jpeg_file{.picture = test::scene(24, 24, 3), .progressive = true};
    CHECK(failure(decoder, with(progressive, 1)).value().find("Inconsistent progression sequence") != std::string::npos);
    auto const apart = test::jpeg_file{.picture = test::scene(24, 24, 3), .apart = true};
    auto const right = decode(with(apart, 99));
    CHECK(right == decode(test::jpeg_file{.picture = test::scene(24, 24, 3)}.bytes()));
    for (std::size_t scan : {1u, 2u, 3u}) {
        CHECK(failure(decoder, with(apart, scan)) == penstock::message("JPEG of 24x24: no data of component ", scan, " of 3"));
        auto const before = decoder.warnings();
        CHECK_FALSE(decode(decoder, with(apart, scan), {.allow_truncated = true}) == right);
        CHECK(decoder.warnings() == before + 1);
    }
}

TEST_CASE("decode_jpeg: the hint says what helps", "[unit][decode_jpeg]") {
    auto const hint = [](std::string const& file, image::codec_options const& options = {}) {
        try {
            (void)decode(file, options);
        } catch (image::detail::undecodable const& e) {
            return e.hint;
        }
        return std::string();
    };
    auto const whole = test::jpeg_file{.picture = test::scene(16, 16, 3)}.bytes();
    CHECK(hint(whole.substr(0, whole.size() - 30)) == image::detail::truncated_hint);
    CHECK(hint(whole.substr(0, 40)) == image::detail::truncated_hint);
    auto no_tables = whole;
    no_tables[no_tables.find("\xff\xdb") + 1] ^= 0x30;
    CHECK(hint(no_tables) == image::detail::damaged_hint);
    auto const frame = whole.find("\xff\xc0");
    auto other = whole;
    other[frame + 1] = '\xc3';  // lossless
    CHECK(hint(other).find("convert it") != std::string::npos);
    other = whole;
    other[frame + 4] = 12;  // bits per sample
    CHECK(hint(other).find("convert it") != std::string::npos);
    auto const two = test::jpeg_file{.picture = test::scene(16, 16, 2), .in = JCS_UNKNOWN, .stored = JCS_UNKNOWN}.bytes();
    for (auto c : {channels::rgb, channels::gray, channels::as_stored}) {
        CHECK(hint(two, {.channels = c}).find("convert it") != std::string::npos);
        image::jpeg_decoder decoder;
        CHECK(failure(decoder, two, {.channels = c}) == "JPEG of 16x16: the meaning of its 2 components is not known");
    }
}

TEST_CASE("decode_jpeg: rows go where they are wanted, and nothing is written between them", "[unit][decode_jpeg]") {
    for (auto [height, width] : {std::pair{1u, 1u}, {1u, 40u}, {33u, 1u}, {19u, 23u}})
        for (bool inks : {false, true}) {
            auto const file = inks ? test::jpeg_file{.picture = test::scene(height, width, 4), .in = JCS_CMYK, .stored = JCS_CMYK}.bytes() : test::jpeg_file{.picture = test::scene(height, width, 3)}.bytes();
            auto const right = decode(file);
            auto const stride = right.stride() + 7;
            auto wide = std::vector<std::uint8_t>(stride * height, 99), wanted = wide;
            for (std::uint32_t y = 0; y != height; ++y) std::copy_n(right.row(y), right.stride(), wanted.data() + y * stride);
            image::jpeg_decoder decoder;
            (void)decoder.open(std::as_bytes(std::span(file)), {});
            decoder.read(wide.data(), stride);
            CHECK(wide == wanted);
        }
}

TEST_CASE("decode_jpeg: bombs are refused", "[unit][decode_jpeg]") {
    image::jpeg_decoder decoder;
    auto file = test::jpeg_file{.picture = test::scene(16, 16, 3)}.bytes();
    auto const frame = file.find("\xff\xc0");
    file.replace(frame + 5, 4, "\xea\x60\xea\x60");  // 60000 x 60000
    auto const why = failure(decoder, file);
    REQUIRE(why);
    CHECK(*why == "JPEG of 60000x60000: at most 268435456 pixels are decoded");

    auto scans = test::jpeg_file{.picture = test::scene(16, 16, 3), .progressive = true}.bytes();
    auto const last = scans.rfind("\xff\xda");
    auto const scan = scans.substr(last, scans.size() - 2 - last);
    auto bomb = scans.substr(0, last);
    for (int i = 0; i != 600; ++i) bomb += scan;
    CHECK(failure(decoder, bomb + "\xff\xd9") == "JPEG of 16x16: Inconsistent progression sequence for component 0 coefficient 1");
    CHECK(failure(decoder, bomb + "\xff\xd9", {.allow_truncated = true}) == "JPEG of 16x16: more than 500 scans");
}

TEST_CASE("decode_jpeg: real photographs", "[unit][decode_jpeg]") {
    struct known { char const* name; image::shape shape; };
    image::jpeg_decoder decoder;
    for (auto const& k : {known{"motor-boats-3524545_960_720.jpg", {279, 960, 3}}, known{"street-2116802_960_720.jpg", {720, 479, 3}}, known{"swan-3584559_640.jpg", {408, 640, 3}}}) {
        auto const file = photo(k.name);
        REQUIRE(file.size() > 80'000);
        auto const color = decode(decoder, file);
        auto const gray = decode(decoder, file, {.channels = channels::gray});
        CHECK(color.shape() == k.shape);
        REQUIRE(gray.size() * 3 == color.size());
        // The stored luma is the luma of the colours, but where a colour had to be clipped.
        std::size_t near = 0;
        for (std::size_t i = 0; i != gray.size(); ++i) {
            auto const* c = color.data() + 3 * i;
            near += std::abs(int{gray.data()[i]} - int{image::detail::luma(c[0], c[1], c[2])}) <= 2;
        }
        CHECK(near > gray.size() * 95 / 100);
        for (auto cut : {file.size() / 7, file.size() / 2, file.size() - 3}) CHECK(failure(decoder, file.substr(0, cut)).has_value());
    }
    CHECK(decoder.warnings() == 0);
}
