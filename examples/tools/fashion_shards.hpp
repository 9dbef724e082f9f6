// Implements: write_fashion_shards(), Fashion-MNIST (IDX files) as WebDataset shards of uneven sizes; what is complete stays as it is.
#pragma once

#include <penstock/penstock.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// `shards` sizes from 300 to 1,500 whose sum is `samples`, the same ones every time: real data sets are uneven, and exactness should have
/// something to do.
inline std::vector<std::uint64_t> uneven_sizes(std::uint64_t samples, std::uint64_t shards, std::string_view name) {
    constexpr std::uint64_t least = 300, most = 1'500;
    std::vector<std::uint64_t> sizes(shards, least);
    penstock::random_stream random(penstock::child_key(0, name), 0, 0);
    for (auto left = samples - shards * least; left != 0;) {
        auto& size = sizes[random.below(static_cast<std::uint32_t>(shards))];
        auto const more = std::min({left, most - size, std::uint64_t{1} + random.below(400)});
        size += more;
        left -= more;
    }
    return sizes;
}

inline penstock::fields encoded(penstock::idx_item const& item) {
    penstock::fields files;
    auto picture = penstock::image::pixels(item.rows, item.columns, 1);
    std::ranges::copy(item.image.bytes(), std::as_writable_bytes(picture.writable()).begin());
    files.add("cls", penstock::blob::own(std::to_string(item.label)));
    files.add("png", penstock::image::encode_png(picture, {.filter = penstock::image::png_filter::none}));
    return files;
}

/// One of the two sets; `say` receives a sentence on what was done.
template <class Say>
void write_fashion_shards(std::string const& from, std::string const& to, std::string const& name, std::string const& idx, std::uint64_t samples,
                          std::uint64_t shards, Say say) {
    namespace ps = penstock;
    auto const pattern = to + "/" + name + "-{}.tar";
    if (auto const there = ps::complete_shards(pattern, samples, 4)) {
        say(ps::message(name, ": ", there->shards.size(), " shards with ", there->samples, " samples are complete"));
        return;
    }
    auto const made = ps::read_idx(from + "/" + idx + "-images-idx3-ubyte.gz", from + "/" + idx + "-labels-idx1-ubyte.gz")
                    | ps::map(encoded)
                    | ps::write_tar(pattern, {.sizes = uneven_sizes(samples, shards, name), .digits = 4, .existing = ps::existing_shards::replace});
    auto const [least, most] = std::ranges::minmax(made.shards, {}, &ps::written_shard::samples);
    say(ps::message(name, ": ", made.samples, " samples into ", made.shards.size(), " shards of ", least.samples, " to ", most.samples));
}

template <class Say>
void write_fashion_train(std::string const& from, std::string const& to, Say say) {
    std::filesystem::create_directories(to);
    write_fashion_shards(from, to, "train", "train", 60'000, 67, say);
}

template <class Say>
void write_fashion_test(std::string const& from, std::string const& to, Say say) {
    std::filesystem::create_directories(to);
    write_fashion_shards(from, to, "test", "t10k", 10'000, 11, say);
}
