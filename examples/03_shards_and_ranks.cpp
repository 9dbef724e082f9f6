// 03: every rank of a training job reads its own part of the shards. One process plays all the ranks here.
//
//   4 shards of        shuffle_shards()     split_by_rank({r, 3})            read_tar()
//   4, 1, 3 and 2 ---> another order  --->  rank r of 3 gets its third  ---> samples: key, id, fields
//   samples            in every epoch       cutting shards where needed
//
#include <penstock/penstock.hpp>

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

namespace ps = penstock;
namespace fs = std::filesystem;

struct temporary_folder {
    fs::path path = fs::temp_directory_path() / ("penstock-03-" + std::to_string(::getpid()));
    ~temporary_folder() { fs::remove_all(path); }
};

int main() {
    temporary_folder const folder;
    auto const shards = (folder.path / "train-{}.tar").string();

    // A sample is some files with one name: the name is its key, the endings are its fields. Shards are plain tar, as WebDataset writes them.
    auto const written = ps::range(10) | ps::map([](std::int64_t i) {
                             ps::fields sample({}, "photo" + std::to_string(i), 0);
                             sample.add("txt", ps::blob::of("what photo " + std::to_string(i) + " shows"));
                             sample.add("cls", ps::blob::of(std::to_string(i % 3)));
                             return sample;
                         })
                       | ps::write_tar(shards, {.sizes = {4, 1, 3, 2}, .digits = 1});
    std::cout << written.samples << " samples in " << written.shards.size() << " shards of";
    for (auto const& shard : written.shards) std::cout << ' ' << shard.samples;
    std::cout << '\n';

    // What stands before the reader is a plan: it says which shards there are and who reads them. No file has been opened yet.
    auto plan = ps::shard_list((folder.path / "train-{0..3}.tar").string()) | ps::shuffle_shards();
    std::cout << "a plan of " << plan.shards() << " shards\n";

    // However the sizes and the ranks divide: every sample goes to exactly one rank, and no rank gets two more than another.
    for (std::uint64_t const epoch : {0u, 1u}) {
        std::cout << "epoch " << epoch << '\n';
        for (std::uint32_t rank = 0; rank != 3; ++rank) {
            auto samples = plan | ps::split_by_rank({.rank = rank, .size = 3}) | ps::read_tar();
            samples.reset(/*seed*/ 7, epoch);
            std::cout << "  rank " << rank << " of 3:";
            for (auto const& s : samples) std::cout << ' ' << s.key;
            std::cout << '\n';
        }
    }

    // Samples are keyed: your function sees the fields, while key, id and weight travel along and arrive in the batch. With batch every rank
    // takes the same number of steps, so that no rank waits for one that has run out.
    for (std::uint32_t rank = 0; rank != 3; ++rank) {
        auto batches = plan | ps::split_by_rank({.rank = rank, .size = 3}) | ps::read_tar()
                     | ps::map([](ps::fields const& f) { return f.integer("cls"); })
                     | ps::batch(2);
        batches.reset(7, 0);
        std::cout << "rank " << rank << ": classes";
        for (auto const& b : batches) {
            std::cout << " [";
            for (auto cls : b.items) std::cout << ' ' << cls;
            std::cout << " ]";
        }
        std::cout << '\n';
    }
}

// Output:
//   10 samples in 4 shards of 4 1 3 2
//   a plan of 4 shards
//   epoch 0
//     rank 0 of 3: photo8 photo9 photo0
//     rank 1 of 3: photo1 photo2 photo3
//     rank 2 of 3: photo4 photo5 photo6 photo7
//   epoch 1
//     rank 0 of 3: photo8 photo9 photo4
//     rank 1 of 3: photo0 photo1 photo2
//     rank 2 of 3: photo3 photo5 photo6 photo7
//   rank 0: classes [ 2 0 ] [ 0 ]
//   rank 1: classes [ 1 2 ] [ 0 ]
//   rank 2: classes [ 1 2 ] [ 0 1 ]
