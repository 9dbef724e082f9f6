// Implements: raw_shards, tar shards of small samples that the benchmarks of this folder read: made once, kept in the folder of the build.
#pragma once

#include <penstock/formats/write_tar.hpp>  // defines: write_tar, complete_shards, fields, blob
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace penstock::bench {

struct raw_options {
    std::string name;            ///< of the folder
    std::int64_t samples = 200'000;
    std::uint64_t per_shard = 25'000;
    std::size_t bytes = 1024;    ///< of the field "bin"; beside it is "cls", the number of the sample
};

/// The pattern of the shards. An unfinished or changed set is written again.
inline std::string raw_shards(raw_options const& o) {
    auto const* const build = std::getenv("PENSTOCK_BUILD_DIR");
    auto const folder = std::filesystem::path(build != nullptr ? build : std::filesystem::temp_directory_path().string()) / "bench-data" / o.name;
    auto const pattern = (folder / "raw-{}.tar").string();
    if (!complete_shards(pattern, static_cast<std::uint64_t>(o.samples))) {
        std::fprintf(stderr, "writing %lld samples of %zu bytes into %s\n", static_cast<long long>(o.samples), o.bytes, folder.c_str());
        auto const body = std::string(o.bytes, 'x');
        auto const make = [&](std::int64_t i) {
            auto number = std::to_string(i);
            auto key = number;
            key.insert(0, 9 - key.size(), '0');
            auto f = fields(nullptr, key, 0);
            auto bytes = body;
            bytes.replace(0, number.size(), number);
            f.add("bin", blob::own(std::move(bytes)));
            f.add("cls", blob::own(std::move(number)));
            return f;
        };
        (void)(range(o.samples) | map(make) | write_tar(pattern, {.samples = o.per_shard, .existing = existing_shards::replace}));
    }
    auto const last = (static_cast<std::uint64_t>(o.samples) + o.per_shard - 1) / o.per_shard - 1;
    auto digits = std::to_string(last);
    digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
    return (folder / ("raw-{000000.." + digits + "}.tar")).string();
}

/// Reads every byte of the file once, so that it lies in the page cache.
inline void warm(std::string const& path) {
    auto file = std::ifstream(path, std::ios::binary);
    auto part = std::string(1 << 20, '\0');
    while (file.read(part.data(), static_cast<std::streamsize>(part.size()))) {}
}

/// What read calls handed to this process so far, from the page cache or not.
inline std::uint64_t bytes_read() {
    auto file = std::ifstream("/proc/self/io");
    for (std::string word; file >> word;)
        if (word == "rchar:") {
            std::uint64_t n = 0;
            file >> n;
            return n;
        }
    throw std::runtime_error("/proc/self/io has no rchar");
}

}  // namespace penstock::bench
