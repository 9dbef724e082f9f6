// How long until the first batch is there? From shard_list() to the first 64 samples as tensors, with the example's chain and its shuffle
// window of 5,000: once with the index beside the shards, once without it, where building the chain counts 67 shards. The page cache is warm.
#include <support/bench.hpp>
#include <support/fashion_data.hpp>

#include <penstock/penstock.hpp>
#include <penstock/tensor/to_device.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

template <class Image, class Label>
struct example {
    Image image;
    Label label;
};

/// Milliseconds; what is made ahead and the way down are not counted.
double first_batch(std::string const& shards) {
    auto const from = std::chrono::steady_clock::now();
    auto data = ps::shard_list(shards) | ps::shuffle_shards() | ps::read_tar({.write_index = false}) | ps::shuffle(5'000)
              | ps::image::decode("png", {.channels = ps::image::channels::gray, .crop = ps::image::random_crop(28, 28, {.padding = 2}), .flip = 0.5})
              | ps::map([](auto&& s) { return example{std::move(s).image(), s.integer("cls")}; }) | ps::batch(64)
              | ps::to_device(at::kCPU, {.mean = {0.2860}, .std = {0.3530}});
    auto const b = data.next();
    auto const spent = std::chrono::steady_clock::now() - from;
    if (!b || b->image.size(0) != 64) throw std::runtime_error("the first batch does not have 64 samples");
    return std::chrono::duration<double, std::milli>(spent).count();
}

void measure(int argc, char** argv) {
    bench::fashion_data const data;
    bench::temporary_folder const bare;  // the same files under other names, and no index
    for (auto const& file : std::filesystem::directory_iterator(data.folder()))
        if (file.path().extension() == ".tar") std::filesystem::create_symlink(file.path(), bare.path() + "/" + file.path().filename().string());
    auto const found = bench::interleave({{"indexed", [&] { return first_batch(data.train()); }},
                                          {"scanned", [&] { return first_batch(bare.path() + "/train-{0000..0066}.tar"); }}}, 21);
    if (std::filesystem::exists(bare.path() + "/.penstock-index")) throw std::runtime_error("an index appeared where none was wanted");
    bench::report out("first_batch", argc, argv);
    out.add({.name = "first_batch_ms_indexed", .value = bench::summary(found[0]), .unit = "ms", .goal = bench::at_most(50)});
    out.add({.name = "first_batch_ms_scanned", .value = bench::summary(found[1]), .unit = "ms", .goal = bench::at_most(150)});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "first_batch: %s\n", e.what());
        return 1;
    }
}
