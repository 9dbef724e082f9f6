// The library's side of raw_tar.py: samples of 1 KiB and a label, read from tar shards into batches of 64 on the calling thread.
//   raw_tar_ours make        writes the shards and prints their pattern
//   raw_tar_ours PATTERN     for every line on standard input one pass, and on standard output its samples, wall seconds and CPU seconds
#include <plan/shards.hpp>
#include <support/bench.hpp>

#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/stages/batch.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

void one_pass(std::string const& pattern) {
    std::uint64_t samples = 0, bytes = 0;
    auto const spent = bench::measure([&] {  // building the chain included
        auto chain = ps::shard_list(pattern) | ps::read_tar() | ps::batch(64);
        while (auto b = chain.next()) {
            samples += b->size();
            for (auto const& s : b->items)
                for (auto const& f : s.all()) bytes += f.bytes.size();
        }
    });
    bench::keep(bytes);
    std::cout << samples << ' ' << spent.wall_s << ' ' << spent.cpu_s << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        auto const what = std::string(argc > 1 ? argv[1] : "make");
        if (what == "make") {
            auto const pattern = bench::raw_shards({.name = "raw"});
            auto const plan = ps::shard_list(pattern);
            for (std::size_t i = 0; i != plan.shards(); ++i) bench::warm(plan.names()[i]);
            std::cout << pattern << std::endl;
            return 0;
        }
        for (std::string line; std::getline(std::cin, line);) one_pass(what);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "raw_tar_ours: %s\n", e.what());
        return 1;
    }
}
