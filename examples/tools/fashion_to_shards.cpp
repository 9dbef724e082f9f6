// Turns Fashion-MNIST (IDX files) into WebDataset shards of uneven sizes, through our own stages; does nothing when they are complete.
//
//   images, labels --> read_idx --> map(encode PNG) --> write_tar
//
//   fashion_to_shards /usr/share/datasets/fashion-mnist data/fashion-mnist
#include <penstock/penstock.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ps = penstock;

// `shards` sizes from 300 to 1,500 whose sum is `samples`, the same ones every time: real data sets are uneven, and exactness should have
// something to do.
static std::vector<std::uint64_t> uneven_sizes(std::uint64_t samples, std::uint64_t shards, std::string_view name) {
    constexpr std::uint64_t least = 300, most = 1'500;
    std::vector<std::uint64_t> sizes(shards, least);
    ps::random_stream random(ps::child_key(0, name), 0, 0);
    for (auto left = samples - shards * least; left != 0;) {
        auto& size = sizes[random.below(static_cast<std::uint32_t>(shards))];
        auto const more = std::min({left, most - size, std::uint64_t{1} + random.below(400)});
        size += more;
        left -= more;
    }
    return sizes;
}

static ps::fields encoded(ps::idx_item const& item) {
    ps::fields files;
    auto picture = ps::image::pixels(item.rows, item.columns, 1);
    std::ranges::copy(item.image.bytes(), std::as_writable_bytes(picture.writable()).begin());
    files.add("cls", ps::blob::own(std::to_string(item.label)));
    files.add("png", ps::image::encode_png(picture, {.filter = ps::image::png_filter::none}));
    return files;
}

static void convert(std::string const& from, std::string const& to, std::string const& name, std::string const& idx, std::uint64_t samples, std::uint64_t shards) {
    auto const pattern = to + "/" + name + "-{}.tar";
    if (auto const there = ps::complete_shards(pattern, samples, 4)) {
        std::printf("%s: %zu shards with %llu samples are complete\n", name.c_str(), there->shards.size(), static_cast<unsigned long long>(there->samples));
        return;
    }
    auto const made = ps::read_idx(from + "/" + idx + "-images-idx3-ubyte.gz", from + "/" + idx + "-labels-idx1-ubyte.gz")
                    | ps::map(encoded)
                    | ps::write_tar(pattern, {.sizes = uneven_sizes(samples, shards, name), .digits = 4, .existing = ps::existing_shards::replace});
    auto const [least, most] = std::ranges::minmax(made.shards, {}, &ps::written_shard::samples);
    std::printf("%s: %llu samples into %zu shards of %llu to %llu\n", name.c_str(), static_cast<unsigned long long>(made.samples), made.shards.size(),
                static_cast<unsigned long long>(least.samples), static_cast<unsigned long long>(most.samples));
}

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: fashion_to_shards FOLDER_OF_IDX_FILES FOLDER_FOR_SHARDS\n");
        return 2;
    }
    try {
        std::filesystem::create_directories(argv[2]);
        convert(argv[1], argv[2], "train", "train", 60'000, 67);
        convert(argv[1], argv[2], "test", "t10k", 10'000, 11);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "fashion_to_shards: %s\n", e.what());
        return 1;
    }
}
