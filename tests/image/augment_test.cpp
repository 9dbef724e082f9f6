// Implements: tests of crop policies and of augmentation, and of the statistics of both.
#include <penstock/image/augment.hpp>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace image = penstock::image;
using image::geometry;
using image::box;
using penstock::random_stream;

TEST_CASE("augment: golden windows and flips, the same on every machine", "[unit][augment]") {
    auto const crop = image::crop(image::random_crop(28, 28, {.padding = 4}));
    auto const keys = image::augmentation(0x0123456789ABCDEF);
    auto got = std::vector<std::array<std::int64_t, 3>>();
    for (std::uint64_t id : {0u, 1u, 2u, 59999u}) {
        auto const g = keys(crop, 0.5, {28, 28, 1}, 3, id);
        got.push_back({g.box.top, g.box.left, g.mirrored});
    }
    CHECK(got == std::vector<std::array<std::int64_t, 3>>{{4, 3, 1}, {-2, 2, 0}, {4, -3, 1}, {0, -3, 1}});  // by an independent program
}

TEST_CASE("augment: the middle, rounded as torchvision rounds it", "[unit][augment]") {
    auto random = random_stream(0, 0, 0);
    auto const top = [&](std::uint32_t have, std::int64_t want) { return image::center_crop(want, 5)({have, 5, 3}, random).box.top; };
    CHECK(top(10, 10) == 0);
    CHECK(top(10, 4) == 3);
    CHECK(top(11, 10) == 0);  // round(0.5) to even
    CHECK(top(13, 10) == 2);  // round(1.5)
    CHECK(top(15, 10) == 2);  // round(2.5)
    CHECK(top(17, 10) == 4);  // round(3.5)
    CHECK(top(7, 10) == -1);  // 3 // 2 rows of zeros above
    CHECK(top(6, 10) == -2);
    CHECK(image::center_crop(3, 4)({9, 8, 1}, random) == box{3, 2, 3, 4});
}

TEST_CASE("augment: random crops are uniform over all places, flips are fair, and they do not know of each other", "[unit][augment]") {
    constexpr int n = 81 * 400;
    auto const crop = image::crop(image::random_crop(28, 28, {.padding = 4}));
    auto const keys = image::augmentation(penstock::mix64(7));
    auto places = std::array<int, 81>();
    auto mirrored_of = std::array<int, 81>();
    int mirrored = 0, quarter = 0;
    for (std::uint64_t id = 0; id != n; ++id) {
        auto const g = keys(crop, 0.5, {28, 28, 1}, 0, id);
        auto const w = g.box;
        REQUIRE((w.top >= -4 && w.top <= 4 && w.left >= -4 && w.left <= 4 && w.height == 28 && w.width == 28));
        auto const at = static_cast<std::size_t>((w.top + 4) * 9 + w.left + 4);
        ++places[at];
        mirrored += g.mirrored;
        mirrored_of[at] += g.mirrored;
        quarter += keys(image::no_crop{}, 0.25, {28, 28, 1}, 0, id).mirrored;
    }
    double chi = 0, joint = 0;
    for (std::size_t i = 0; i != 81; ++i) {
        chi += (places[i] - 400.0) * (places[i] - 400.0) / 400;
        joint += (mirrored_of[i] - places[i] / 2.0) * (mirrored_of[i] - places[i] / 2.0) / (places[i] / 4.0);
    }
    CHECK(chi < 125);    // 80 degrees of freedom, p = 0.001
    CHECK(joint < 126);  // 81
    CHECK(chi > 45);
    CHECK(std::abs(mirrored - n / 2) < 300);  // 3.3 sigma
    CHECK(std::abs(quarter - n / 4) < 260);
}

TEST_CASE("augment: the bits belong to the sample and the pass", "[unit][augment]") {
    auto const crop = image::crop(image::random_crop(8, 8));
    auto const keys = image::augmentation(1), others = image::augmentation(2);
    int same_pass = 0, other_pass = 0, other_key = 0, other_sample = 0;
    for (std::uint64_t id = 0; id != 200; ++id) {
        auto const g = keys(crop, 0, {40, 40, 3}, 0, id);
        same_pass += g == keys(crop, 0, {40, 40, 3}, 0, id);
        other_pass += g == keys(crop, 0, {40, 40, 3}, 1, id);
        other_key += g == others(crop, 0, {40, 40, 3}, 0, id);
        other_sample += g == keys(crop, 0, {40, 40, 3}, 0, id + 1000);
    }
    CHECK(same_pass == 200);
    CHECK(other_pass < 5);
    CHECK(other_key < 5);
    CHECK(other_sample < 5);
}

TEST_CASE("augment: probabilities 0 and 1", "[unit][augment]") {
    auto const keys = image::augmentation(1);
    for (std::uint64_t id = 0; id != 500; ++id) {
        CHECK_FALSE(keys({}, 0, {9, 9, 1}, 0, id).mirrored);
        CHECK(keys({}, 1, {9, 9, 1}, 0, id).mirrored);
    }
}

TEST_CASE("augment: a user's function places crops", "[unit][augment]") {
    auto random = random_stream(0, 0, 0);
    auto const corner = image::crop([size = 3u](image::shape of, random_stream&) { return box{of.height - 3, 0, size, size}; });
    CHECK(corner({10, 20, 3}, random) == box{7, 0, 3, 3});
    CHECK(image::crop()({10, 20, 3}, random) == box{0, 0, 10, 20});
    CHECK(image::crop(image::no_crop{})({10, 20, 3}, random) == image::crop()({10, 20, 3}, random));
    static_assert(!std::is_constructible_v<image::crop, int>);
}

TEST_CASE("augment: a policy may ask for a size and a mirror, and a flip turns it once more", "[unit][augment]") {
    auto const half = image::crop([](image::shape of, random_stream&) {
        auto g = geometry(box{0, 0, of.height, of.width}, true);
        g.height /= 2;
        return g;
    });
    auto const keys = image::augmentation(3);
    auto const g = keys(half, 0, {10, 20, 3}, 0, 1);
    CHECK(g.height == 5);
    CHECK(g.width == 20);
    CHECK(g.scales());
    CHECK(g.mirrored);
    CHECK_FALSE(keys(half, 1, {10, 20, 3}, 0, 1).mirrored);
}

TEST_CASE("augment: impossible crops are named", "[unit][augment]") {
    auto const text = [](auto f) {
        try {
            f();
        } catch (penstock::config_error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(text([] { (void)image::random_crop(0, 5); }).find("random_crop: height must be 1 to 16777216, got 0") == 0);
    CHECK(text([] { (void)image::random_crop(5, -1); }).find("got -1") != std::string::npos);
    CHECK(text([] { (void)image::random_crop(5, 5, {.padding = -2}); }).find("padding must be 0") != std::string::npos);
    CHECK(text([] { (void)image::center_crop(5, 0); }).find("HINT") != std::string::npos);
    auto random = random_stream(0, 0, 0);
    try {
        (void)image::random_crop(28, 28, {.padding = 1})({25, 40, 1}, random);
        FAIL("a crop larger than the picture was placed");
    } catch (image::detail::undecodable const& e) {
        CHECK(e.cause == "random_crop(28, 28): must fit into the picture, got 25x40 with padding 1");
    }
    CHECK(image::random_crop(28, 28, {.padding = 1})({26, 26, 1}, random) == box{-1, -1, 28, 28});
}
