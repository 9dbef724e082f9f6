// What does a rank of 16,384 pay for a data set of 1,000,000 shards before its first read?
//   plan_1m_shards_16384_ranks_ms  CPU time (nothing in it waits): shard_list of a brace pattern with known counts (vector of 1,000,000), shuffle_shards, split_by_rank, read_tar, batch,
//                                  reset to an epoch, up to the moment in which the reader asks for the bytes of its first shard
//   plan_1m_shards_16384_ranks_mb  how much that raises the peak of the resident memory of a process, the given counts included
//   plan_1m_from_index_ms          the same when the counts come from the index summary: loading it included
//   plan_1m_wall_ms                the same by the clock on the wall, which a busy machine stretches
//   plan_1m_hash_ms                of which: hashing names and counts, once, by which a saved state knows its data set again
//   index_load_1m_ms               the index summary of 1,000,000 shards: read, checked, ready for look-ups; the file is in the page cache
#include <support/bench.hpp>
#include <support/rivals.hpp>  // defines: run_command

#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>

#include <stdlib.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

constexpr std::size_t shards = 1'000'000;
constexpr ps::world last_quarter{12'288, 16'384};
constexpr char const* pattern = "/data/train-{0000000..0999999}.tar";

std::uint64_t samples_of(std::size_t shard) { return 900 + shard % 200; }
std::vector<std::uint64_t> known_counts() {
    std::vector<std::uint64_t> counts(shards);
    for (std::size_t i = 0; i != shards; ++i) counts[i] = samples_of(i);
    return counts;
}

using clock_type = std::chrono::steady_clock;
double ms_since(clock_type::time_point start) { return std::chrono::duration<double, std::milli>(clock_type::now() - start).count(); }

/// Milliseconds from `start` until the first shard is asked for.
double up_to_the_first_shard(clock_type::time_point start, std::vector<std::uint64_t> counts, std::uint64_t seed) {
    double found = 0;
    auto const asked = [&](std::string const& path) -> std::shared_ptr<ps::io::byte_source> {
        found = ms_since(start);
        throw ps::stage_error("bench", ps::fault::io, ps::place{path, {}, {}, {}}, "there are no such shards", "none");
    };
    auto chain = ps::shard_list(pattern, {.counts = std::move(counts)}) | ps::shuffle_shards() | ps::split_by_rank(last_quarter) | ps::read_tar({.io = asked}) | ps::batch(64);
    chain.reset(seed, 0);
    try {
        (void)chain.next();
    } catch (ps::stage_error const&) {
    }
    if (found == 0) throw std::runtime_error("no shard was asked for");
    return found;
}

double status_kib(char const* name) {
    auto file = std::ifstream("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name)) return std::stod(line.substr(std::char_traits<char>::length(name)));
    throw std::runtime_error(std::string("/proc/self/status has no ") + name);
}

/// In a process of its own, since a peak does not go down: this program, called with --peak. MB = 10^6 bytes.
double peak_mb() {
    auto const before = status_kib("VmRSS:");
    (void)up_to_the_first_shard(clock_type::now(), known_counts(), 1);
    return (status_kib("VmHWM:") - before) * 1024 / 1e6;
}
double peak_of_another_process() {
    auto const ended = bench::run_command("'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' --peak");
    if (ended.status != 0) throw std::runtime_error("the process whose memory is measured failed: " + ended.last_line);
    return std::stod(ended.last_line);
}

class index_folder {
public:
    index_folder() : path_((std::filesystem::temp_directory_path() / "penstock-bench-XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + path_);
        path_ += '/';
        auto index = ps::shard_index();
        auto const names = ps::shard_names::expand(pattern);
        for (std::size_t i = 0; i != shards; ++i)
            index.set(ps::shard_index::split(names[i]).second, {samples_of(i), 50'000'000 + i, 1'700'000'000'000'000'000 + static_cast<std::int64_t>(i) * 1'234'567, static_cast<std::uint32_t>(i) + 1});
        index.write(path_);
    }
    ~index_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    index_folder(index_folder const&) = delete;
    index_folder& operator=(index_folder const&) = delete;
    ps::shard_index load() const { return ps::shard_index::read(path_); }

private:
    std::string path_;
};

void measure(int argc, char** argv) {
    auto const folder = index_folder();
    auto const counts = known_counts();
    std::uint64_t seed = 0;
    std::vector<double> cpu, hash, memory;
    auto const found = bench::interleave({{"known",
                                           [&] {
                                               auto given = counts;
                                               double ms = 0;
                                               cpu.push_back(1e3 * bench::measure([&] { ms = up_to_the_first_shard(clock_type::now(), std::move(given), ++seed); }).cpu_s);
                                               memory.push_back(peak_of_another_process());
                                               return ms;
                                           }},
                                          {"from the index",
                                           [&] {
                                               auto const start = clock_type::now();
                                               auto const index = folder.load();
                                               std::vector<std::uint64_t> in_order;
                                               in_order.reserve(shards);
                                               index.each([&](std::string_view, ps::shard_index::entry const& e) { in_order.push_back(e.samples); });  // names ascend as the list does
                                               return up_to_the_first_shard(start, std::move(in_order), ++seed);
                                           }},
                                          {"hash",
                                           [&] {
                                               auto const plan = ps::shard_list(pattern, {.counts = counts});
                                               auto const start = clock_type::now();
                                               bench::keep(plan.fingerprint(shards));
                                               return ms_since(start);
                                           }},
                                          {"index", [&] {
                                               auto const start = clock_type::now();
                                               auto const index = folder.load();
                                               auto const ms = ms_since(start);
                                               if (auto const e = index.find("train-0654321.tar"); !e || e->samples != samples_of(654'321)) throw std::runtime_error("the index is not what was written");
                                               return ms;
                                           }}});
    auto const counted = [](std::vector<double> all) {  // without the round that is not counted
        all.erase(all.begin());
        return bench::summary(std::move(all));
    };

    bench::report out("plan_size", argc, argv);
    out.add({.name = "plan_1m_shards_16384_ranks_ms", .value = counted(cpu), .unit = "ms", .goal = bench::at_most(100)});
    out.add({.name = "plan_1m_shards_16384_ranks_mb", .value = counted(memory), .unit = "MB", .goal = bench::at_most(100)});
    out.add({.name = "plan_1m_from_index_ms", .value = bench::summary(found[1]), .unit = "ms"});
    out.add({.name = "plan_1m_wall_ms", .value = bench::summary(found[0]), .unit = "ms"});
    out.add({.name = "plan_1m_hash_ms", .value = bench::summary(found[2]), .unit = "ms"});
    out.add({.name = "index_load_1m_ms", .value = bench::summary(found[3]), .unit = "ms", .goal = bench::at_most(200)});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 1 && std::string_view(argv[1]) == "--peak") {
            std::printf("%f\n", peak_mb());
            return 0;
        }
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "plan_size: %s\n", e.what());
        return 1;
    }
}
