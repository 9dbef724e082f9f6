// Implements: tar_job, the whole chain over shards on disk, whose items say which sample of which pass they are; tar_disk, those shards.
#pragma once

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/any_pipeline.hpp>  // defines: any, any_pipeline
#include <penstock/core/random.hpp>        // defines: mix64
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/write_tar.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::test {

/// One delivery of one sample.
struct trace {
    std::uint64_t pass = 0, id = 0;

    friend auto operator<=>(trace const&, trace const&) = default;
};
using traces = batch_of<trace>;

/// What the field `bin` of a sample holds.
inline std::string payload(std::uint64_t id) {
    std::string bytes(1 + mix64(id) % 700, '\0');
    for (std::size_t i = 0; i != bytes.size(); ++i) bytes[i] = static_cast<char>('a' + mix64(id + i) % 26);
    return bytes;
}
/// The number in a sample, if all of its bytes are those that were written.
inline std::uint64_t decoded(fields const& f) {
    auto const id = static_cast<std::uint64_t>(f.integer("cls"));
    if (f.text("bin") != payload(id) || f.key() != message('k', id)) throw stage_error("decode", fault::content, f.where(), message("the bytes are not those of sample ", id));
    return id;
}

/// Shards in a folder, written by write_tar; one with 0 samples is a tar without members. Ids follow the order of `sizes`.
class tar_disk {
public:
    tar_disk(std::string folder, std::vector<std::uint64_t> sizes) : folder_(std::move(folder)), sizes_(std::move(sizes)) {
        std::vector<std::uint64_t> full;
        std::vector<fields> samples;
        for (auto const n : sizes_) {
            paths_.push_back(n == 0 ? message(folder_, "/empty-", paths_.size(), ".tar") : message(folder_, "/part-", full.size(), ".tar"));
            if (n == 0) std::ofstream(paths_.back(), std::ios::binary) << std::string(10'240, '\0');
            else full.push_back(n);
        }
        for (std::uint64_t id = 0; id != this->samples(); ++id) {
            auto& f = samples.emplace_back(nullptr, message('k', id), 0);
            f.add("cls", blob::of(std::to_string(id)));
            f.add("bin", blob::of(payload(id)));
        }
        if (!full.empty()) (void)(from_vector(std::move(samples)) | write_tar(folder_ + "/part-{}.tar", {.sizes = full, .digits = 1}));
    }

    std::vector<std::string> const& paths() const { return paths_; }
    std::vector<std::uint64_t> const& sizes() const { return sizes_; }
    std::uint64_t samples() const { return std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t{0}); }
    /// The first sample of the shard that holds sample `id`.
    std::uint64_t first_beside(std::uint64_t id) const {
        return std::accumulate(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(shard_of(id)), std::uint64_t{0});
    }
    void forget_index() const {
        for (auto const& e : std::filesystem::directory_iterator(folder_))
            if (e.path().extension() != ".tar") std::filesystem::remove_all(e.path());
    }

    /// Bit rot: a byte of the sample's payload, or of the header before it, is another one, and the file's time and size say nothing.
    void rot(std::uint64_t id, bool header) const {
        auto const& path = paths_[shard_of(id)];
        auto const time = std::filesystem::last_write_time(path);
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        std::string const bytes(std::istreambuf_iterator<char>(file), {});
        auto const at = bytes.find(message('k', id, ".bin") + '\0');
        if (at == bytes.npos || at % 512 != 0) throw std::logic_error("no such sample");
        auto const where = at + (header ? 125 : 512);  // in the field of the size
        file.seekp(static_cast<std::streamoff>(where));
        file.put(static_cast<char>(bytes[where] ^ 0x40));
        file.close();
        if (!file) throw std::runtime_error("cannot write " + path);
        std::filesystem::last_write_time(path, time);
    }

private:
    std::size_t shard_of(std::uint64_t id) const {
        std::size_t shard = 0;
        for (auto before = std::uint64_t{0}; id >= before + sizes_[shard]; ++shard) before += sizes_[shard];
        return shard;
    }

    std::string folder_;
    std::vector<std::uint64_t> sizes_;
    std::vector<std::string> paths_;
};

/// What the chain is built with; equal ones build equal chains.
struct tar_job {
    std::vector<std::string> shards{};
    std::vector<std::uint64_t> counts{};  ///< empty: read_tar finds out
    std::uint64_t samples_per_epoch = 0, repeat = 1;
    std::int64_t batch = 1, window = 0, threads = 0, ahead = 0;  ///< 0: without that stage
    bool shuffled = false, verify = false, remember = true;
    std::function<void(stage_error const&)> skipped{};           ///< empty: nothing is skipped

    any_pipeline<traces> make(world w) const {
        auto plan = shard_list(shards, {.counts = counts, .samples_per_epoch = samples_per_epoch, .repeat = repeat}) | split_by_rank(w);
        if (shuffled) plan = plan | shuffle_shards();
        auto samples = any(plan | read_tar({.write_index = remember, .count_threads = 2, .progress = {}, .verify = verify}));
        if (window != 0) samples = any(std::move(samples) | shuffle(window));
        auto numbers = threads == 0 ? any(std::move(samples) | map(decoded)) : any(std::move(samples) | parallel_map(decoded, {.threads = threads}));
        if (skipped) numbers = any(std::move(numbers) | on_error({.total = 1'000'000, .in_a_row = 1'000'000}, skipped));
        auto batches = any(std::move(numbers) | map_keyed([](keyed<std::uint64_t> const& k) {
                               if (k.value != k.id) throw std::logic_error(message("sample ", k.value, " says that it is ", k.id));
                               return trace{k.pass, k.id};
                           })
                           | penstock::batch(batch));
        if (ahead != 0) batches = any(std::move(batches) | prefetch(ahead));
        return batches;
    }
    std::string text() const {
        return message(counts.empty() ? "" : ", counts given", remember ? "" : ", no index", ", ", samples_per_epoch, " samples per epoch, repeat ", repeat, ", batch ", batch, ", shuffle ", window,
                       ", parallel_map ", threads, ", prefetch ", ahead, shuffled ? ", shuffled shards" : "", verify ? ", verified" : "", skipped ? ", damaged" : "");
    }
};

/// The seed of a test: of its own, or PENSTOCK_TEST_SEED.
inline std::uint64_t seed_of_test(std::uint64_t own) {
    auto const* const given = std::getenv("PENSTOCK_TEST_SEED");
    return given ? std::strtoull(given, nullptr, 10) : own;
}

}  // namespace penstock::test
