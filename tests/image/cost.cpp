// Implements: prints what one core pays per picture: decode, crop and flip, encode.
#include <penstock/image/augment.hpp>
#include <penstock/image/codec.hpp>
#include <penstock/image/encode_png.hpp>

#include "jpeg_maker.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace image = penstock::image;

namespace {

/// Microseconds per call, the least of 7 rounds.
template <class F>
double cost(int calls, F f) {
    double best = 1e9;
    for (int round = 0; round != 7; ++round) {
        auto const begin = std::chrono::steady_clock::now();
        for (int i = 0; i != calls; ++i) f(i);
        best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() / calls);
    }
    return best;
}

}  // namespace

int main() {
    image::codec codec;
    std::uint64_t sum = 0;
    auto const small = penstock::test::scene(28, 28, 1), large = penstock::test::scene(375, 500, 3);
    auto const gray = image::codec_options{.channels = image::channels::gray};
    auto const adaptive = image::encode_png(small), plain = image::encode_png(small, {.filter = image::png_filter::none});
    auto const jpeg = penstock::blob::of(penstock::test::jpeg_file{.picture = large}.bytes()), little = penstock::blob::of(penstock::test::jpeg_file{.picture = small, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}.bytes());
    auto const row = [](char const* what, double us) { std::printf("%-44s %9.2f us\n", what, us); };
    row("decode PNG 28x28 gray, adaptive filters", cost(5000, [&](int) { sum += codec.decode(adaptive, gray).size(); }));
    row("decode PNG 28x28 gray, no filter", cost(5000, [&](int) { sum += codec.decode(plain, gray).size(); }));
    row("encode PNG 28x28 gray", cost(2000, [&](int) { sum += image::encode_png(small).size(); }));
    row("decode JPEG 28x28 gray", cost(5000, [&](int) { sum += codec.decode(little, gray).size(); }));
    row("decode JPEG 500x375 quality 90", cost(20, [&](int) { sum += codec.decode(jpeg).size(); }));
    auto const keys = image::augmentation(1);
    auto const crop = image::crop(image::random_crop(28, 28, {.padding = 4}));
    row("draw crop and flip", cost(100000, [&](int i) {
            auto const id = static_cast<std::uint64_t>(i);
            auto const g = keys(crop, 0.5, small.shape(), 0, id);
            sum += static_cast<std::uint64_t>(g.box.top) + g.mirrored;
        }));
    row("crop and flip 28x28 gray", cost(20000, [&](int i) { sum += image::crop_flip(small, {{i % 9 - 4, i % 7 - 3, 28, 28}, i % 2 == 1}).size(); }));
    row("crop and flip 500x375 RGB to 224x224", cost(500, [&](int i) { sum += image::crop_flip(large, {{i % 100, i % 200, 224, 224}, i % 2 == 1}).size(); }));
    std::printf("(%llu)\n", static_cast<unsigned long long>(sum));
}
