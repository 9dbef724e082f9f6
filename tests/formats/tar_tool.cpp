// Reads shards and prints what is in them, or writes some: the other side is tests/formats/cross_read.py.
//
//   tar_tool read PATTERN      one line per field: shard-order number, key in hex, extension, size, CRC-32 of zlib
//   tar_tool names PATTERN     the names it stands for, one per line
//   tar_tool write PATTERN     60 samples into shards of 25, keys and fields as cross_read.py expects them
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/write_tar.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/stages/map.hpp>

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace ps = penstock;

namespace {

std::string hex(std::string_view text) {
    std::string out;
    for (auto c : text) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += two;
    }
    return out;
}

int read(std::string const& pattern) {
    auto samples = ps::shard_list(pattern) | ps::read_tar({.write_index = false});
    while (auto s = samples.next())
        for (auto const& f : s->value.all())
            std::printf("%llu %s %s %zu %08lx\n", static_cast<unsigned long long>(s->id), hex(s->key).c_str(), f.name.c_str(), f.bytes.size(),
                        crc32(0, reinterpret_cast<Bytef const*>(f.bytes.u8()), static_cast<uInt>(f.bytes.size())));
    return 0;
}

/// Sample i: a key that needs a ustar prefix, a pax record or nothing, and four fields, one of them empty.
ps::fields sample_of(std::int64_t i) {
    auto const n = static_cast<std::size_t>(i);
    auto key = ps::message("k", 1000 + i);
    if (i % 5 == 1) key = std::string(90, 'd') + "/" + std::string(60, 'e') + "/" + key;
    if (i % 5 == 2) key = std::string(200, 'L') + key;
    if (i % 5 == 3) key = "\xc3\xa4/" + key;
    auto f = ps::fields(nullptr, key, 0);
    f.add("cls", ps::blob::of(std::to_string(i)));
    f.add("txt", ps::blob::of(std::string(n * 37 % 1500, static_cast<char>('a' + i % 26))));
    f.add("seg.png", ps::blob::of(std::string(512, static_cast<char>(i))));
    f.add("bin", ps::blob{});
    return f;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 3 && std::string(argv[1]) == "read") return read(argv[2]);
        if (argc == 3 && std::string(argv[1]) == "names") {
            auto const names = ps::shard_names::expand(argv[2]);
            for (std::size_t i = 0; i != names.size(); ++i) std::printf("%s\n", names[i].c_str());
            return 0;
        }
        if (argc == 3 && std::string(argv[1]) == "write") {
            (void)(ps::range(60) | ps::map(sample_of) | ps::write_tar(argv[2], {.samples = 25}));
            return 0;
        }
        std::fprintf(stderr, "usage: tar_tool read|names|write PATTERN\n");
        return 2;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "tar_tool: %s\n", e.what());
        return 1;
    }
}
