#include <penstock/tensor/normalise.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace tensor = penstock::tensor;

TEST_CASE("normalise: every value is the double formula rounded to float once", "[unit][normalise]") {
    std::vector<double> const mean{0.485, 0.456, 0.406}, std_{0.229, 0.224, 0.225};
    tensor::normalise const norm("test", mean, std_);
    std::vector<std::uint8_t> picture(256 * 3);  // 256 pixels, every value in every channel
    for (std::size_t i = 0; i != 256; ++i)
        for (std::size_t c = 0; c != 3; ++c) picture[i * 3 + c] = static_cast<std::uint8_t>(i + 85 * c);
    std::vector<float> planes(picture.size()), pixels(picture.size());
    norm(picture.data(), 256, 3, tensor::layout::nchw, planes.data());
    norm(picture.data(), 256, 3, tensor::layout::channels_last, pixels.data());
    bool same = true;
    for (std::size_t i = 0; i != 256; ++i)
        for (std::size_t c = 0; c != 3; ++c) {
            auto const expected = static_cast<float>((double{static_cast<double>(picture[i * 3 + c])} / 255.0 - mean[c]) / std_[c]);
            same = same && planes[c * 256 + i] == expected && pixels[i * 3 + c] == expected;
        }
    CHECK(same);
}

TEST_CASE("normalise: one channel stands for all; mean or std alone will do", "[unit][normalise]") {
    std::array<std::uint8_t, 6> const picture{0, 51, 102, 153, 204, 255};
    std::array<float, 6> out{};
    tensor::normalise const centred("test", {0.5}, {});
    CHECK(centred.suits(1));
    CHECK(centred.suits(3));
    centred(picture.data(), 2, 3, tensor::layout::nchw, out.data());
    CHECK(out == std::array<float, 6>{-0.5f, static_cast<float>(153 / 255.0 - 0.5), static_cast<float>(51 / 255.0 - 0.5), static_cast<float>(204 / 255.0 - 0.5), static_cast<float>(102 / 255.0 - 0.5), 0.5f});
    tensor::normalise const scaled("test", {}, {1, 1, 1});
    CHECK_FALSE(scaled.suits(1));
    scaled(picture.data(), 2, 3, tensor::layout::channels_last, out.data());
    CHECK(out[5] == 1.0f);
    CHECK_FALSE(tensor::normalise("test", {}, {}).active());
}

TEST_CASE("normalise: wrong figures are named", "[unit][normalise]") {
    auto const text = [](std::vector<double> mean, std::vector<double> std_) -> std::string {
        try {
            tensor::normalise("to_device", mean, std_);
        } catch (penstock::config_error const& e) {
            return e.what();
        }
        return "nothing thrown";
    };
    CHECK(text({0.1, 0.2, 0.3}, {1}).find("got 3 and 1\n  HINT") != std::string::npos);
    CHECK(text({0.1}, {0}).find("std must be > 0, got 0\n  HINT") != std::string::npos);
    CHECK(text({0.1}, {-2}).find("got -2\n  HINT") != std::string::npos);
    CHECK(text({std::numeric_limits<double>::quiet_NaN()}, {1}).find("got nan\n  HINT") != std::string::npos);
}
