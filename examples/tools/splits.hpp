// Implements: how the samples of shards reach the ranks of a training run: WebDataset's ways, as models of its code, and penstock's.
#pragma once

#include <penstock/core/random.hpp>   // defines: random_stream
#include <penstock/sources/line.hpp>  // defines: cut, total, interval

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace tools {

struct split {
    std::vector<std::uint64_t> batches{};  ///< of each rank
    std::uint64_t never = 0;               ///< samples that no step of all ranks together reads
    std::uint64_t again = 0;               ///< samples read a second time
    std::uint64_t idle = 0;                ///< workers that get no sample at all
    std::uint64_t fewest() const { return *std::min_element(batches.begin(), batches.end()); }
    std::uint64_t most() const { return *std::max_element(batches.begin(), batches.end()); }
};

/// split_by_node and split_by_worker: every world-th shard to a rank, of these every workers-th to a worker, which batches what it has, the last
/// batch short; the loader takes a batch from each worker in turn. Training ends together where the first rank ends.
inline split whole_shards(std::vector<std::uint64_t> const& sizes, std::uint64_t world, std::uint64_t workers, std::uint64_t batch) {
    auto result = split{};
    auto order = std::vector<std::vector<std::uint64_t>>(world);  // sizes of the batches of each rank, in turn
    for (std::uint64_t r = 0; r != world; ++r) {
        auto left = std::vector<std::uint64_t>(workers);
        for (std::uint64_t k = r, i = 0; k < sizes.size(); k += world, ++i) left[i % workers] += sizes[k];
        result.idle += static_cast<std::uint64_t>(std::count(left.begin(), left.end(), 0u));
        for (bool any = true; any;) {
            any = false;
            for (auto& n : left) {
                if (n == 0) continue;
                any = true;
                order[r].push_back((std::min)(n, batch));
                n -= order[r].back();
            }
        }
        result.batches.push_back(order[r].size());
    }
    auto const steps = result.fewest();
    for (auto const& rank : order) result.never = std::accumulate(rank.begin() + static_cast<std::ptrdiff_t>(steps), rank.end(), result.never);
    return result;
}

/// resampled=True with with_epoch(samples / (world * batch)): each rank draws shards at random, again and again, until it has its steps.
inline split resampled(std::vector<std::uint64_t> const& sizes, std::uint64_t world, std::uint64_t batch) {
    auto const samples = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
    auto const steps = (samples + world * batch - 1) / (world * batch);
    auto result = split{.batches = std::vector<std::uint64_t>(world, steps)};
    auto seen = std::vector<std::uint64_t>(sizes.size());  // so many samples from the front of each shard
    std::uint64_t read = 0;
    for (std::uint64_t r = 0; r != world; ++r) {
        auto draw = penstock::random_stream(0, r, 0);
        for (auto left = steps * batch; left != 0;) {
            auto const k = draw.below(static_cast<std::uint32_t>(sizes.size()));
            auto const n = (std::min)(left, sizes[k]);
            left -= n;
            read += n;
            seen[k] = (std::max)(seen[k], n);
        }
    }
    auto const different = std::accumulate(seen.begin(), seen.end(), std::uint64_t{0});
    result.never = samples - different;
    result.again = read - different;
    return result;
}

/// split_by_rank: an even interval of the line of all samples to each rank, shards cut where needed, the last batches short.
inline split even_cut(std::vector<std::uint64_t> const& sizes, std::uint32_t world, std::uint64_t batch) {
    auto result = split{};
    penstock::interval const line[] = {{0, std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0})}};
    std::uint64_t most = 0, given = 0;
    for (std::uint32_t r = 0; r != world; ++r) {
        auto const mine = penstock::cut(line, {r, world});
        auto const n = penstock::total(mine);
        most = (std::max)(most, n);
        given += n;
    }
    result.batches.assign(world, (most + batch - 1) / batch);
    result.never = line[0].end - given;
    return result;
}

}  // namespace tools
