// Implements: tests of encode_png.
#include <penstock/image/encode_png.hpp>

#include "jpeg_maker.hpp"

#include <penstock/image/codec.hpp>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;

TEST_CASE("encode_png: decodes to the same pixels", "[unit][encode_png]") {
    for (std::uint32_t c : {1u, 2u, 3u, 4u})
        for (auto [h, w] : {std::pair{1u, 1u}, {28u, 28u}, {33u, 70u}, {300u, 200u}})
            for (int level : {0, 1, 6, 9})
                for (auto filter : {image::png_filter::adaptive, image::png_filter::none}) {
                    auto const picture = test::scene(h, w, c);
                    auto const file = image::encode_png(picture, {.level = level, .filter = filter});
                    CHECK(image::decode_image(file, {.channels = image::channels::as_stored}) == picture);
                }
}

TEST_CASE("encode_png: equal pictures give equal bytes", "[unit][encode_png]") {
    CHECK(image::encode_png(test::scene(28, 28, 1)) == image::encode_png(test::scene(28, 28, 1)));
    CHECK(image::encode_png(test::scene(64, 64, 3), {.level = 9}).size() < image::encode_png(test::scene(64, 64, 3), {.level = 0}).size());
}

TEST_CASE("encode_png: what cannot be written is named", "[unit][encode_png]") {
    auto const text = [](auto f) {
        try {
            f();
        } catch (penstock::config_error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(text([] { (void)image::encode_png(test::scene(2, 2, 1), {.level = 10}); }).find("got 10") != std::string::npos);
    CHECK(text([] { (void)image::encode_png({}); }).find("got 0x0x0") != std::string::npos);
    CHECK(text([] { (void)image::encode_png(test::scene(2, 2, 5)); }).find("got 2x2x5") != std::string::npos);
    CHECK(text([] { (void)image::encode_png({}); }).find("HINT") != std::string::npos);
}
