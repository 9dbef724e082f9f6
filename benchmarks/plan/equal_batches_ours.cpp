// The library's side of equal_batches.py: one rank's epoch, one line per batch with the labels of its samples; an empty batch is an empty line.
//   equal_batches_ours SHARDS RANK WORLD BATCH
#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/shuffle.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

namespace ps = penstock;

int main(int argc, char** argv) {
    try {
        if (argc != 5) throw ps::config_error("usage: equal_batches_ours SHARDS RANK WORLD BATCH");
        auto const number = [&](int i) { return static_cast<std::uint32_t>(std::stoul(argv[i])); };
        auto chain = ps::shard_list(argv[1]) | ps::shuffle_shards() | ps::split_by_rank({number(2), number(3)}) | ps::read_tar() | ps::shuffle(1000) | ps::batch(number(4));
        chain.reset(7, 0);
        while (auto b = chain.next()) {
            for (auto const& s : b->items) std::cout << s.integer("cls") << ' ';
            std::cout << '\n';
        }
    } catch (std::exception const& e) {
        std::fprintf(stderr, "equal_batches_ours: %s\n", e.what());
        return 1;
    }
}
