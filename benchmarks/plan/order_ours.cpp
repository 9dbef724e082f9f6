// The library's side of order.py: the labels of an epoch in the order in which they arrive, one per line.
//   order_ours penstock SHARDS WINDOW SEED    shard_list | shuffle_shards | read_tar | shuffle(WINDOW)
//   order_ours classic SHARDS WINDOW SEED     the same shards in the same order through a classic buffer: a random item of a full buffer leaves for each that comes
#include <penstock/core/random.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace ps = penstock;

namespace {

void print(std::int64_t label) { std::cout << label << '\n'; }

void ours(ps::shard_plan const& shards, std::int64_t window, std::uint64_t seed) {
    auto chain = shards | ps::shuffle_shards() | ps::read_tar() | ps::map([](ps::fields const& f) { return f.integer("cls"); }) | ps::shuffle(window);
    chain.reset(seed, 0);
    while (auto s = chain.next()) print(s->value);
}
void classic(ps::shard_plan const& shards, std::size_t window, std::uint64_t seed) {
    auto chain = shards | ps::shuffle_shards() | ps::read_tar() | ps::map([](ps::fields const& f) { return f.integer("cls"); });
    chain.reset(seed, 0);
    auto random = ps::random_stream(seed, 0, 0);
    std::vector<std::int64_t> buffer;
    while (auto s = chain.next()) {
        if (buffer.size() != window) buffer.push_back(s->value);
        else print(std::exchange(buffer[random.below(static_cast<std::uint32_t>(window))], s->value));
    }
    while (!buffer.empty()) {
        std::swap(buffer[random.below(static_cast<std::uint32_t>(buffer.size()))], buffer.back());
        print(buffer.back());
        buffer.pop_back();
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc != 5) throw ps::config_error("usage: order_ours penstock|classic SHARDS WINDOW SEED");
        auto const shards = ps::shard_list(argv[2]);
        auto const window = std::stoul(argv[3]), seed = std::stoul(argv[4]);
        std::string(argv[1]) == "penstock" ? ours(shards, static_cast<std::int64_t>(window), seed) : classic(shards, window, seed);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "order_ours: %s\n", e.what());
        return 1;
    }
}
