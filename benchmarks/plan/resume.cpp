// What does a checkpoint in the middle of an epoch cost, and how soon does a fresh process go on from it?
// The chain: shard_list | shuffle_shards | split_by_rank | read_tar | shuffle | parallel_map | batch(64) | prefetch.
// "1e9" is 1,000,000 shards of 1,000 samples, each the same tar in memory, read by one rank of 16,384 up to the middle of its epoch, window 10,000.
//   state_bytes               saving there: the text of the whole state
//   ledger_bytes              positions used there, as a checkpoint stores them; the bound is 64 per source and past world and 1.5 per item inside windows
//   ledger_bytes_3_worlds     the same per rank after an epoch was stopped in the middle by 3, 2 and 5 ranks (1,000,000 samples, window 2,000)
//   resume_1e9_seconds        building the chain anew, loading that state and the next batch, by the clock on the wall
//   resume_seconds            the same on 2 GB of tar on disk (120,000 samples of 16 KiB in 24 shards, rank 1 of 2, window 2,000), page cache warm
//   resume_cold_seconds       the page cache of the shards emptied before
//   resume_unindexed_seconds  without the blocks beside the shards: headers are walked
//   resume_read_mb            what was read from the files for resume_seconds, and of that the payload of the items the window holds
#include <plan/shards.hpp>
#include <support/bench.hpp>

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/tar_writer.hpp>
#include <penstock/io/open_file.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/shuffle.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

constexpr std::uint64_t seed = 7;

class memory_source final : public ps::io::byte_source {
public:
    memory_source(std::string name, ps::blob bytes) : name_(std::move(name)), bytes_(std::move(bytes)) {}
    std::string const& name() const override { return name_; }
    std::uint64_t size() const override { return bytes_.size(); }
    ps::blob read(std::uint64_t offset, std::size_t length) override {
        check_range(offset, length);
        return bytes_.part(static_cast<std::size_t>(offset), length);
    }
    void cancel() noexcept override {}

private:
    std::string name_;
    ps::blob bytes_;
};

/// An opener under which every name is the same tar of 1,000 samples.
ps::io::opener one_for_all() {
    auto const pattern = bench::raw_shards({.name = "thousand", .samples = 1'000, .per_shard = 1'000, .bytes = 16});
    auto file = std::ifstream(ps::shard_names::expand(pattern)[0], std::ios::binary);
    auto const bytes = ps::blob::own(std::string(std::istreambuf_iterator<char>(file), {}));
    return [bytes](std::string const& path) { return std::make_shared<memory_source>(path, bytes); };
}

/// Counts what enters the window.
template <class Plan>
auto chain_over(Plan plan, ps::world w, ps::read_tar_options read, std::int64_t window, std::shared_ptr<std::atomic<std::uint64_t>> pulled) {
    return std::move(plan) | ps::shuffle_shards() | ps::split_by_rank(w) | ps::read_tar(std::move(read)) | ps::map_keyed([pulled](ps::sample s) {
               pulled->fetch_add(1, std::memory_order_relaxed);
               return s;
           })
           | ps::shuffle(window) | ps::parallel_map([](ps::fields const& f) { return f.integer("cls"); }, {.threads = 2}) | ps::batch(64) | ps::prefetch(4);
}

struct stopped {
    ps::state state;
    ps::ledger used;
    std::uint64_t in_windows = 0;            ///< items that were pulled into the window and not yet delivered
    std::vector<std::uint64_t> next_ids{};  ///< of the batch after it
};
template <class Chain>
stopped stop_after(Chain& chain, std::uint64_t batches, std::atomic<std::uint64_t> const& pulled) {
    stopped s;
    std::uint64_t delivered = 0;
    for (std::uint64_t i = 0; i != batches; ++i) {
        auto const b = chain.next();
        if (!b) throw std::runtime_error("the epoch ended after " + std::to_string(i) + " batches");
        s.used.commit(*b);
        delivered += b->size();
    }
    s.state = chain.save();
    s.in_windows = pulled - delivered;
    if (auto const b = chain.next()) s.next_ids = b->ids;
    return s;
}

std::uint64_t bytes_of(ps::ledger const& l) {
    std::uint64_t n = 0;
    l.each([&](std::string const& source, ps::interval_set const& positions) { n += source.size() + positions.bytes().size(); });
    return n;
}
double ledger_bound(double sources_and_worlds, double in_windows) { return 64 * sources_and_worlds + 1.5 * in_windows; }

/// Seconds from nothing to the next batch, which must be the one that was due.
template <class Make>
double resume(Make make, stopped const& at) {
    std::vector<std::uint64_t> ids;
    auto chain = std::optional<decltype(make())>{};
    auto const spent = bench::measure([&] {
        chain.emplace(make());
        chain->load(at.state);
        ids = chain->next()->ids;
    });
    if (ids != at.next_ids) throw std::runtime_error("the batch after a resume is another one");
    return spent.wall_s;
}

struct ledger_size {
    double bytes = 0, bound = 0;
};
/// Ranks of each world in turn, on what the worlds before left.
ledger_size ledger_after(std::vector<std::uint32_t> const& worlds, ps::io::opener const& open) {
    ps::ledger used;
    std::uint64_t in_windows = 0;
    for (auto const size : worlds) {
        std::vector<ps::ledger> more;
        for (std::uint32_t rank = 0; rank != size; ++rank) {
            auto const pulled = std::make_shared<std::atomic<std::uint64_t>>(0);
            auto chain = chain_over(ps::shard_list("train-{0000..0999}.tar", {.samples_per_shard = 1'000}), {rank, size}, {.io = open}, 2'000, pulled);
            chain.reset(ps::epoch::of(seed, 0), used);
            auto const at = stop_after(chain, 50'000 / (64 * size), *pulled);
            more.push_back(at.used);
            in_windows += at.in_windows;
        }
        for (auto const& l : more) used.merge(l);
    }
    auto const ranks = static_cast<double>(worlds.back());
    return {static_cast<double>(bytes_of(used)) / ranks, ledger_bound(static_cast<double>(worlds.size()), static_cast<double>(in_windows) / ranks)};
}

void forget_pages(ps::shard_names const& names) {
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto const file = ::open(names[i].c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) throw std::runtime_error("cannot open " + names[i]);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

void measure(int argc, char** argv) {
    auto const open = one_for_all();
    auto const counter = [] { return std::make_shared<std::atomic<std::uint64_t>>(0); };

    constexpr std::uint64_t per_rank = 1'000'000'000 / 16'384;
    auto const huge = [&](auto pulled) { return chain_over(ps::shard_list("train-{0000000..0999999}.tar", {.samples_per_shard = 1'000}), {8'191, 16'384}, {.io = open}, 10'000, pulled); };
    auto const huge_at = [&] {
        auto const pulled = counter();
        auto chain = huge(pulled);
        chain.reset(seed, 3);
        return stop_after(chain, per_rank / 2 / 64, *pulled);
    }();

    constexpr std::int64_t window = 2'000;
    constexpr std::size_t payload = 16 << 10;
    auto const pattern = bench::raw_shards({.name = "two-gigabytes", .samples = 120'000, .per_shard = 5'000, .bytes = payload});
    auto const names = ps::shard_names::expand(pattern);
    auto const tars = [&](auto pulled) { return chain_over(ps::shard_list(pattern), {1, 2}, {}, window, pulled); };
    auto const walked = [&](auto pulled) { return chain_over(ps::shard_list(pattern, {.samples_per_shard = 5'000}), {1, 2}, {.io = ps::io::file_opener()}, window, pulled); };
    auto const tars_at = [&] {
        auto const pulled = counter();
        auto chain = tars(pulled);
        chain.reset(seed, 0);
        return stop_after(chain, 60'000 / 2 / 64, *pulled);
    }();
    auto const walked_at = [&] {
        auto const pulled = counter();
        auto chain = walked(pulled);
        chain.reset(seed, 0);
        return stop_after(chain, 60'000 / 2 / 64, *pulled);
    }();

    std::vector<double> read;
    auto const found = bench::interleave({{"1e9", [&] { return resume([&] { return huge(counter()); }, huge_at); }},
                                          {"tars",
                                           [&] {
                                               auto const before = bench::bytes_read();
                                               auto const seconds = resume([&] { return tars(counter()); }, tars_at);
                                               read.push_back(static_cast<double>(bench::bytes_read() - before) / 1e6);
                                               return seconds;
                                           }},
                                          {"walked", [&] { return resume([&] { return walked(counter()); }, walked_at); }}});
    auto const cold = bench::interleave({{"cold", [&] {
                                              forget_pages(names);
                                              return resume([&] { return tars(counter()); }, tars_at);
                                          }}}, 5, 0);
    auto const three = ledger_after({3, 2, 5}, open);

    bench::report out("plan_resume", argc, argv);
    out.add({.name = "state_bytes", .value = static_cast<double>(huge_at.state.text().size()), .unit = "bytes", .goal = bench::at_most(4096)});
    auto const in_windows = static_cast<double>(huge_at.in_windows);
    out.add({.name = "ledger_bytes", .value = static_cast<double>(bytes_of(huge_at.used)), .unit = "bytes", .goal = bench::at_most(ledger_bound(1, in_windows))});
    out.add({.name = "ledger_items_in_windows", .value = in_windows, .unit = "items"});
    out.add({.name = "ledger_bytes_3_worlds", .value = three.bytes, .unit = "bytes", .goal = bench::at_most(three.bound)});
    out.add({.name = "resume_1e9_seconds", .value = bench::summary(found[0]), .unit = "s", .goal = bench::at_most(1)});
    out.add({.name = "resume_seconds", .value = bench::summary(found[1]), .unit = "s", .goal = bench::at_most(1)});
    out.add({.name = "resume_cold_seconds", .value = bench::summary(cold[0]), .unit = "s"});
    out.add({.name = "resume_unindexed_seconds", .value = bench::summary(found[2]), .unit = "s"});
    out.add({.name = "resume_read_mb", .value = bench::summary(read), .unit = "MB"});
    out.add({.name = "resume_window_payload_mb", .value = static_cast<double>(tars_at.in_windows * payload) / 1e6, .unit = "MB"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "plan_resume: %s\n", e.what());
        return 1;
    }
}
