// Implements: tests of geometry and of the copy that crops and flips.
#include <penstock/image/geometry.hpp>

#include "jpeg_maker.hpp"

#include <penstock/core/random.hpp>

#include <cstdint>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
namespace test = penstock::test;
using image::geometry;
using image::pixels;
using image::box;

namespace {

pixels by_the_book(pixels const& p, box w, bool flip) {
    auto out = pixels(w.height, w.width, p.channels());
    for (std::uint32_t y = 0; y != w.height; ++y)
        for (std::uint32_t x = 0; x != w.width; ++x)
            for (std::uint32_t c = 0; c != p.channels(); ++c) {
                auto const sy = w.top + y, sx = w.left + (flip ? w.width - 1 - x : x);
                auto const inside = sy >= 0 && sy < p.height() && sx >= 0 && sx < p.width();
                out.set(y, x, c, inside ? p.at(static_cast<std::uint32_t>(sy), static_cast<std::uint32_t>(sx), c) : std::uint8_t{0});
            }
    return out;
}

}  // namespace

TEST_CASE("geometry: crop and flip in one copy equal the definition, and write nothing between rows", "[unit][geometry]") {
    auto random = penstock::random_stream(1, 2, 3);
    for (std::uint32_t channels = 1; channels != 5; ++channels) {
        auto const picture = test::scene(9, 11, channels);
        for (int i = 0; i != 300; ++i) {
            auto const w = box{std::int64_t{random.below(30)} - 15, std::int64_t{random.below(36)} - 18, 1 + random.below(20), 1 + random.below(20)};
            for (bool flip : {false, true}) {
                INFO(w.top << " " << w.left << " " << w.height << "x" << w.width << " flip " << flip << " channels " << channels);
                auto const right = by_the_book(picture, w, flip);
                CHECK(image::crop_flip(picture, {w, flip}) == right);

                auto const stride = right.stride() + 5;
                auto wide = std::vector<std::uint8_t>(stride * w.height, 77), wanted = wide;
                for (std::uint32_t y = 0; y != w.height; ++y) std::copy_n(right.row(y), right.stride(), wanted.data() + y * stride);
                image::crop_flip(picture.data(), picture.shape(), {w, flip}, wide.data(), stride);
                CHECK(wide == wanted);
            }
        }
    }
}

TEST_CASE("geometry: a box is taken as it is", "[unit][geometry]") {
    auto const g = geometry(box{1, 2, 3, 4});
    CHECK(g.height == 3);
    CHECK(g.width == 4);
    CHECK_FALSE(g.mirrored);
    CHECK_FALSE(g.scales());
    CHECK(geometry(image::shape{5, 6, 3}) == box{0, 0, 5, 6});
    auto scaled = g;
    scaled.width = 2;
    CHECK(scaled.scales());
    CHECK_FALSE(scaled == g);
}
