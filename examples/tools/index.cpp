// Builds, verifies and prints the index of tar shards: how many samples each has, where they lie, and what their fields add up to.
//
//   shards --> headers --> .penstock-index              one line per shard, beside the shards
//          \-> payloads -> .penstock-index.d/*.block    offsets of samples, and with --crc a CRC-32C per field
//
//   penstock-index build --crc 'data/train-{000..127}.tar'
#include "arguments.hpp"

#include <penstock/formats/build_index.hpp>      // defines: build_index, verify_index
#include <penstock/formats/shard_progress.hpp>   // defines: grouped, readable_bytes, print_progress

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace ps = penstock;
using ps::detail::grouped;
using ps::detail::readable_bytes;

namespace {

constexpr char const* help = R"(usage: penstock-index build  [--crc] [--again] [--threads N] SHARDS...
       penstock-index verify [--headers] [--threads N] SHARDS...
       penstock-index print  [--samples] SHARDS...

  build        counts the samples of each shard and remembers where they lie, in .penstock-index and
               .penstock-index.d beside the shards; what is there and right is kept, so a run that was interrupted
               goes on where it was, and shards that were copied with their index are not read again; what is
               replaced is told, and a file of that name that is no index is left as it is
    --crc      reads every payload and remembers a CRC-32C of each field, for read_tar({.verify = true})
    --again    indexes every shard anew
  verify       compares shards with their index: number and place of samples, and fields with their checksums;
               counts the samples that have a fault of their own, and names the first ones
    --headers  leaves the payloads alone
  print        says what the index knows
    --samples  one line per sample: number, first byte, checksums of its fields
  SHARDS       names, patterns or directories: 'data/train-{000..127}.tar', 'data/*.tar', data/, @names.txt
  --threads N  shards that are read at the same time (default 4)

Exit status: 0 all is well, 1 a shard is damaged, missing, changed or not indexed, 2 the question was wrong, the
index cannot be written, or the output could not be.
)";

std::string counted(std::uint64_t n, std::string const& one) { return grouped(n) + " " + one + (n == 1 ? "" : "s"); }

void note(std::string const& text) { std::printf("%s\n", text.c_str()); }

int finish(std::vector<ps::indexed_shard> const& shards, std::string const& done) {
    std::uint64_t samples = 0, bytes = 0, kept = 0, bad = 0, faulty = 0;
    for (auto const& s : shards) {
        faulty += s.faulty;
        if (s.faulty != 0) std::printf("%s: %s and %s when read:\n", s.path.c_str(), (counted(s.faulty, "sample") + (s.faulty == 1 ? " has a fault" : " have faults")).c_str(), s.faulty == 1 ? "is an error" : "are errors");
        for (auto const& f : s.faults) std::printf("  %s\n", f.substr(0, f.find('\n')).c_str());
        if (s.faulty > s.faults.size()) std::printf("  and %s more; penstock-doctor names them\n", grouped(s.faulty - s.faults.size()).c_str());
        if (!s.problem.empty()) {
            std::printf("%s\n", s.problem.c_str());
            ++bad;
            continue;
        }
        samples += s.samples;
        bytes += s.bytes;
        kept += s.kept ? 1 : 0;
    }
    std::printf("%s %s, %s, %s%s%s%s\n", done.c_str(), counted(shards.size() - bad, "shard").c_str(), counted(samples, "sample").c_str(), readable_bytes(bytes).c_str(),
                kept == 0 ? "" : (" (" + grouped(kept) + " as before)").c_str(), bad == 0 ? "" : ("; " + counted(bad, "problem")).c_str(),
                faulty == 0 ? "" : ("; " + counted(faulty, "faulty sample")).c_str());
    return bad == 0 && faulty == 0 ? 0 : 1;
}

int print(ps::shard_names const& names, bool samples) {
    int status = 0;
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto const path = names[i];
        auto const now = ps::shard_index::stat_of(path);
        auto const known = ps::shard_index::read(ps::shard_index::split(path).first).look(path, now);
        if (!known.samples) {
            std::printf("%s\n", known.reason.c_str());
            status = 1;
            continue;
        }
        auto const block = ps::detail::fresh_block(path, now->bytes, &*now);
        std::printf("%s: %s, %s, %s\n", path.c_str(), counted(*known.samples, "sample").c_str(), readable_bytes(now->bytes).c_str(),
                    !block ? "no block" : !block->has_checksums() ? "offsets" : "offsets and checksums");
        for (std::uint64_t n = 0; samples && block && n != block->samples(); ++n) {
            std::printf("  %llu at %llu", static_cast<unsigned long long>(n), static_cast<unsigned long long>(block->offset(n)));
            for (std::uint64_t k = 0; block->has_checksums() && k != block->fields(n); ++k) std::printf(" %08x", block->checksum(n, k));
            std::printf("\n");
        }
    }
    return status;
}

int run(tools::arguments const& args) {
    auto const& words = args.words();
    auto pattern = std::string{};
    for (std::size_t i = 1; i < words.size(); ++i) pattern += (i == 1 ? "" : "::") + words[i];
    auto const threads = static_cast<int>(args.number("--threads", 4, 1, 1024));
    auto const what = words.front();
    if (what != "build" && what != "verify" && what != "print") throw ps::config_error(ps::message("expected build, verify or print, got '", what, "'\n  HINT: --help explains them"));
    auto const names = ps::shard_names::expand(pattern);
    if (what == "build") return finish(ps::build_index(names, {.checksums = args.has("--crc"), .again = args.has("--again"), .threads = threads, .progress = ps::print_progress(), .notes = note}), "indexed");
    if (what == "verify") return finish(ps::verify_index(names, args.has("--headers"), threads, ps::print_progress()), "verified");
    return print(names, args.has("--samples"));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        auto const args = tools::arguments(argc, argv, {"--help", "-h", "--crc", "--again", "--headers", "--samples"}, {"--threads"});
        if (args.has("--help") || args.has("-h")) return std::fputs(help, stdout) < 0 ? 2 : 0;
        if (args.words().empty()) return std::fputs(help, stderr) < 0 ? 2 : 2;
        auto const status = run(args);
        if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
        throw ps::config_error("what was found could not be written to the standard output\n  HINT: a full disk, or a program behind the pipe that has ended");
    } catch (std::exception const& e) {
        std::fprintf(stderr, "penstock-index: %s\n", e.what());
        return 2;
    }
}
