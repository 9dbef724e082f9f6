// How fast are samples counted that nothing knows? Members per second of one core (CPU time), the headers in the page cache, file opened per pass.
//   header_scan_members_per_s        members of 1 KiB and of a few bytes in turns, as in a set of small samples
//   header_scan_large_members_per_s  members of 64 KiB and of a few bytes in turns: most of the file is not read
//   header_scan_large_read_share     how much of that file is read, of its bytes
//   files_of_one_sample_per_s        files of one sample of 40,000 that are read, and each found by its name
#include <plan/shards.hpp>
#include <support/bench.hpp>

#include <penstock/formats/tar_count.hpp>
#include <penstock/io/open_file.hpp>
#include <penstock/sources/shard_list.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

constexpr std::uint64_t fields_each = 2;

double members_per_cpu_s(ps::shard_names const& names, std::uint64_t samples) {
    std::uint64_t counted = 0;
    auto const spent = bench::measure([&] {
        for (std::size_t i = 0; i != names.size(); ++i) counted += ps::count_samples(ps::io::open_file(names[i]));
    });
    if (counted != samples) throw std::runtime_error("counted " + std::to_string(counted) + " of " + std::to_string(samples));
    return static_cast<double>(fields_each * counted) / spent.cpu_s;
}

/// One shard of one sample of very many files.
std::string one_sample(std::int64_t files) {
    auto const folder = std::filesystem::path(bench::raw_shards({.name = "raw"})).parent_path().parent_path() / "one-sample";
    auto const make = [files](std::int64_t) {
        auto all = ps::fields(nullptr, "0", 0);
        for (std::int64_t i = 0; i != files; ++i) all.add(std::to_string(i), ps::blob::of(std::to_string(i)));
        return all;
    };
    auto const pattern = (folder / "one-{}.tar").string();
    if (!ps::complete_shards(pattern, 1)) (void)(ps::range(1) | ps::map(make) | ps::write_tar(pattern, {.existing = ps::existing_shards::replace}));
    return (folder / "one-000000.tar").string();
}
double files_per_cpu_s(std::string const& path, std::int64_t files) {
    std::int64_t found = 0;
    auto const spent = bench::measure([&] {
        auto const sample = ps::detail::tar_walker(ps::io::open_file(path)).next();
        for (std::int64_t i = 0; i != files; ++i) found += sample->integer(std::to_string(i)) == i ? 1 : 0;
    });
    if (found != files) throw std::runtime_error("found " + std::to_string(found) + " files of " + std::to_string(files));
    return static_cast<double>(files) / spent.cpu_s;
}

void measure(int argc, char** argv) {
    auto const set = [](bench::raw_options const& o) {
        auto names = ps::shard_names::expand(bench::raw_shards(o));
        for (std::size_t i = 0; i != names.size(); ++i) bench::warm(names[i]);
        return names;
    };
    auto const small = bench::raw_options{.name = "raw"}, large = bench::raw_options{.name = "large", .samples = 8'000, .per_shard = 2'000, .bytes = 64 << 10};
    constexpr std::int64_t files = 40'000;
    auto const one = one_sample(files);
    auto const small_names = set(small), large_names = set(large);
    auto const found = bench::interleave({{"small", [&] { return members_per_cpu_s(small_names, static_cast<std::uint64_t>(small.samples)); }},
                                          {"large", [&] { return members_per_cpu_s(large_names, static_cast<std::uint64_t>(large.samples)); }},
                                          {"one sample", [&] { return files_per_cpu_s(one, files); }}});
    auto const before = bench::bytes_read();
    (void)members_per_cpu_s(large_names, static_cast<std::uint64_t>(large.samples));
    auto const read = static_cast<double>(bench::bytes_read() - before);
    double whole = 0;
    for (std::size_t i = 0; i != large_names.size(); ++i) whole += static_cast<double>(std::filesystem::file_size(large_names[i]));

    bench::report out("plan_header_scan", argc, argv);
    out.add({.name = "header_scan_members_per_s", .value = bench::summary(found[0]), .unit = "1/s", .goal = bench::at_least(2e6)});
    out.add({.name = "header_scan_large_members_per_s", .value = bench::summary(found[1]), .unit = "1/s"});
    out.add({.name = "header_scan_large_read_share", .value = read / whole, .unit = "x"});
    out.add({.name = "files_of_one_sample_per_s", .value = bench::summary(found[2]), .unit = "1/s"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "plan_header_scan: %s\n", e.what());
        return 1;
    }
}
