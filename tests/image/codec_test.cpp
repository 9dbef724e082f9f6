// Implements: tests of codec: the bytes choose the decoder, and every failure names itself.
#include <penstock/image/codec.hpp>

#include "jpeg_maker.hpp"
#include "png_maker.hpp"

#include <penstock/image/encode_png.hpp>

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;
using penstock::blob;

namespace {

std::string gzipped(std::string const& raw) {
    auto z = z_stream{};
    deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    auto out = std::string(deflateBound(&z, static_cast<uLong>(raw.size())), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(raw.data()));
    z.avail_in = static_cast<uInt>(raw.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

std::string failure(image::codec& codec, std::string const& file, image::codec_options const& options = {}) {
    try {
        (void)codec.decode(blob::of(file), options, {.shard = "train-7.tar", .key = "n01/5", .byte = 1536});
    } catch (penstock::stage_error const& e) {
        CHECK(e.kind == penstock::fault::content);
        CHECK(e.where.key == "n01/5");
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("codec: bytes choose the decoder, also inside gzip", "[unit][codec]") {
    image::codec codec;
    auto const picture = test::scene(12, 10, 3);
    auto const png = image::encode_png(picture);
    auto const jpeg = test::jpeg_file{.picture = picture}.bytes();
    CHECK(codec.decode(png) == picture);
    auto const lossy = codec.decode(blob::of(jpeg));
    CHECK(lossy.shape() == picture.shape());
    CHECK(codec.decode(blob::of(gzipped(jpeg))) == lossy);
    CHECK(codec.decode(blob::of(gzipped(std::string(png.text())))) == picture);
    auto moved = std::move(codec);
    CHECK(moved.decode(blob::of(jpeg)) == lossy);
    CHECK(image::decode_image(png, {.channels = image::channels::gray}).channels() == 1);
}

TEST_CASE("codec: what is no picture is described, with its sample", "[unit][codec]") {
    image::codec codec;
    auto const html = failure(codec, "<!DOCTYPE html><html>404</html>");
    CHECK(html.find("image::decode: train-7.tar, sample 'n01/5', byte 1536: neither PNG nor JPEG: it starts with '<!DOCTYPE ht' (hex 3c 21 44 4f 43 54 59 50 45 20 68 74)") == 0);
    CHECK(html.find("\n  HINT: ") != html.npos);
    CHECK(failure(codec, "").find("the file is empty") != std::string::npos);
    CHECK(failure(codec, std::string("\0\x7f\xfe", 3)).find("'...' (hex 00 7f fe)") != std::string::npos);
    CHECK(failure(codec, "GIF89a.....").find("a GIF, which is not supported") != std::string::npos);
    CHECK(failure(codec, std::string("RIFF\0\0\0\0WEBPVP8 ", 16)).find("WebP") != std::string::npos);
    CHECK(failure(codec, "\xff\xd8\xff").find("JPEG: ") != std::string::npos);
    CHECK(failure(codec, "\x89PNG\r\n\x1a\n").find("PNG: ") != std::string::npos);
    CHECK(failure(codec, gzipped("<html>")).find("neither PNG nor JPEG: it starts with '<html>'") != std::string::npos);
    CHECK(failure(codec, gzipped(gzipped("twice"))).find("neither PNG nor JPEG") != std::string::npos);
}

TEST_CASE("codec: gzip that is cut, damaged or a bomb", "[unit][codec]") {
    image::codec codec;
    auto const whole = gzipped(std::string(image::encode_png(test::scene(20, 20, 1)).text()));
    for (std::size_t n = 2; n != whole.size(); ++n) CHECK(failure(codec, whole.substr(0, n)).find("gzip: ") != std::string::npos);
    auto broken = whole;
    broken[whole.size() / 2] ^= 4;
    CHECK(!failure(codec, broken).empty());
    CHECK(failure(codec, gzipped(std::string((std::size_t{1} << 28) + 1, '\0'))).find("inflates to more than 268435456 bytes") != std::string::npos);
    CHECK(failure(codec, whole).empty());
}

TEST_CASE("codec: a part of a picture goes where it is wanted", "[unit][codec]") {
    image::codec codec;
    auto const picture = test::scene(12, 10, 3);
    auto const file = image::encode_png(picture);
    for (auto const& g : {image::geometry(picture.shape()), image::geometry(image::box{0, 0, 12, 10}, true), image::geometry(image::box{-2, 3, 9, 20})}) {
        auto const right = image::crop_flip(picture, g);
        auto const stride = right.stride() + 4;
        auto wide = std::vector<std::uint8_t>(stride * g.height, 55), wanted = wide;
        for (std::uint32_t y = 0; y != g.height; ++y) std::copy_n(right.row(y), right.stride(), wanted.data() + y * stride);
        CHECK(codec.open(file.bytes(), {}) == picture.shape());
        codec.read(g, wide.data(), stride);
        CHECK(wide == wanted);
    }
}

TEST_CASE("codec: a bad picture leaves the codec usable, whatever came before", "[unit][codec]") {
    image::codec codec;
    auto const picture = test::scene(9, 9, 3);
    auto const png = std::string(image::encode_png(picture).text()), jpeg = test::jpeg_file{.picture = picture}.bytes();
    for (int round = 0; round != 3; ++round) {
        CHECK(!failure(codec, png.substr(0, png.size() / 2)).empty());
        CHECK(!failure(codec, jpeg.substr(0, jpeg.size() / 2)).empty());
        CHECK(codec.decode(blob::of(png)) == picture);
        CHECK(codec.decode(blob::of(jpeg)).shape() == picture.shape());
    }
}
