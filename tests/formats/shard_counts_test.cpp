// Implements: tests of shard_counts: who is believed in which order, what is scanned, what is told, what a killed or failed scan leaves.
#include <penstock/formats/shard_counts.hpp>
#include <penstock/sources/shard_list.hpp>

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
std::string shard(int samples, std::size_t size = 10) {
    auto maker = test::tar_maker{};
    for (int i = 0; i < samples; ++i) maker.add(std::to_string(i) + ".cls", "7").add(std::to_string(i) + ".bin", std::string(size, 'b'));
    return maker.end().bytes;
}
std::string u64(std::vector<std::uint64_t> const& numbers) { return {reinterpret_cast<char const*>(numbers.data()), numbers.size() * 8}; }
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::error const& e) {
        return e.what();
    }
    return "no error";
}
using list = std::vector<std::uint64_t>;
ps::shard_counts_result counts(std::vector<std::string> const& paths, ps::shard_counts_options options = {}) { return ps::shard_counts(ps::shard_names::list(paths), options); }
}  // namespace

TEST_CASE("shard_counts: the index first, then sizes.json, then a scan that writes the index", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    std::uint64_t bytes = 0;
    for (int i = 0; i < 6; ++i) {
        paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i)));
        bytes += fs::file_size(paths.back());
    }
    auto told = std::vector<ps::shard_progress>{};
    auto options = ps::shard_counts_options{.threads = 2, .progress = [&](ps::shard_progress const& p) { told.push_back(p); }, .who = "here"};
    auto const first = counts(paths, options);
    CHECK(first.samples == list{0, 1, 2, 3, 4, 5});
    CHECK(first.scanned == 6);
    REQUIRE(told.size() == 7);
    CHECK((told[0].shards == 6 && told[0].done == 0 && told[0].bytes == bytes && told[0].threads == 2));
    CHECK(told[0].reason == paths[0] + " is not in the index");
    CHECK((told[0].who == "here" && told[0].doing == "counting"));
    CHECK((told[6].done == 6 && told[6].bytes_done == bytes && told[6].samples == 15));
    CHECK_FALSE(fs::exists(dir.path(".penstock-counting")));

    told.clear();
    auto const second = counts(paths, options);
    CHECK(second.samples == first.samples);
    CHECK(second.from_index == 6);
    CHECK(second.scanned == 0);
    CHECK(told.empty());

    dir.write("3.tar", shard(9));
    auto const third = counts(paths, options);
    CHECK(third.samples == list{0, 1, 2, 9, 4, 5});
    CHECK(third.scanned == 1);
    CHECK(has(told.at(0).reason, "3.tar has "));

    told.clear();
    auto cut = shard(5);
    dir.write("5.tar", cut.substr(0, 5120) + std::string(cut.size() - 5120, '\0'));  // the same length, another content
    auto const fourth = counts(paths, options);
    CHECK(fourth.scanned == 1);
    CHECK(has(told.at(0).reason, "5.tar was changed after it was indexed"));

    dir.write("sizes.json", "{\"0.tar\": 10, \"1.tar\": 11, \"2.tar\": 12, \"3.tar\": 13, \"4.tar\": 14}");
    CHECK(counts(paths, options).from_index == 6);
    fs::remove(dir.path(".penstock-index"));
    CHECK(has(error_of([&] { counts(paths, options); }), "here: " + paths[5] + ": is not in " + dir.path("sizes.json")));
    paths.pop_back();
    auto const fifth = counts(paths, options);
    CHECK(fifth.samples == list{10, 11, 12, 13, 14});
    CHECK(fifth.from_side_files == 5);
    options.side_files = false;
    options.count = [](std::string const& path) { return path.size(); };
    CHECK(counts(paths, options).samples[0] == paths[0].size());
}

TEST_CASE("shard_counts: indexes of DALI and Energon are believed where they fit their shard, else it is scanned", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    fs::create_directories(dir.path(".nv-meta"));
    fs::create_directories(dir.path("part"));
    auto const options = ps::shard_counts_options{.write_index = false, .progress = {}};
    auto const a = dir.write("a.tar", shard(2)), b = dir.write("part/b.tar", shard(3));
    dir.write("a.idx", "v1.1 1\ncls 512 1 bin 1536 10 cls 2560 1 bin 3584 10\n");  // one sample: it is believed, and found out while reading
    auto found = counts({a, b}, options);
    CHECK(found.samples == list{1, 3});
    CHECK(found.from_side_files == 1);
    dir.write("a.idx", "v1.1 2\ncls 512 1 bin 1536 10\ncls 2560 1 bin 900000 10\n");
    auto reason = std::string{};
    auto asking = options;
    asking.progress = [&](ps::shard_progress const& p) { reason = p.reason; };
    found = counts({a, b}, asking);
    CHECK(found.samples == list{2, 3});
    CHECK(found.scanned == 2);
    CHECK(has(reason, "a.idx: line 3: member at 900000 of 10 bytes is not in a shard"));
    dir.write("a.tar.idx", u64({0, 2048, 4096}));
    CHECK(counts({a, b}, options).from_side_files == 1);
    dir.write(".nv-meta/.info.json", "{\"energon_version\": \"7\", \"shard_counts\": {\"a.tar\": 2, \"part/b.tar\": 33}}");
    CHECK(counts({b}, options).samples == list{33});
    CHECK(counts({a, b}, options).from_side_files == 2);
    dir.write(".nv-meta/.info.json", "{\"shard_counts\": {\"a.tar\": 2}}");
    CHECK(has(error_of([&] { counts({b}, options); }), "part/b.tar: is not in " + dir.path(".nv-meta/.info.json")));
}

TEST_CASE("shard_counts: a data set that was copied keeps its index; a shard rewritten at the same length is scanned again", "[unit][formats]") {
    auto const dir = test::temp_dir{}, other = test::temp_dir{};
    auto paths = std::vector<std::string>{}, copies = std::vector<std::string>{};
    for (int i = 0; i < 5; ++i) {
        paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i + 1)));
        copies.push_back(other.path(std::to_string(i) + ".tar"));
    }
    auto const options = ps::shard_counts_options{.progress = {}};
    (void)counts(paths, options);
    fs::copy(dir.path(), other.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    for (auto const& path : copies) fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::hours(1));
    auto const never = ps::shard_counts_options{.scan = ps::scan_shards::never, .write_index = false, .progress = {}};
    CHECK(counts(copies, never).from_index == 5);
    CHECK(counts(copies, options).samples == list{1, 2, 3, 4, 5});
    for (auto const& path : copies) CHECK_FALSE(ps::shard_index::read(other.path() + "/").look(path).moved);  // remembered with the new times

    auto swapped = shard(2);
    swapped.resize(static_cast<std::size_t>(fs::file_size(copies[2])), '\0');  // tar files are padded, to 10,240 bytes for example
    other.write("2.tar", swapped);
    fs::last_write_time(copies[2], fs::file_time_type::clock::now() + std::chrono::hours(2));
    auto const found = counts(copies, options);
    CHECK(found.samples == list{1, 2, 2, 4, 5});
    CHECK(found.scanned == 1);
}

TEST_CASE("shard_counts: a count of 0 is checked, whoever says it", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const full = dir.write("a.tar", shard(50)), empty = dir.write("b.tar", shard(0));
    auto const options = ps::shard_counts_options{.write_index = false, .progress = {}, .who = "read_tar"};
    auto const resolved = [&](ps::shard_list_options const& o) { return error_of([&] { (void)ps::resolve_counts(ps::shard_list({full, empty}, o), options); }); };
    auto const side = dir.write("sizes.json", "{\"a.tar\": 0, \"b.tar\": 0}");
    auto const text = error_of([&] { counts({full, empty}, options); });
    CHECK(has(text, "read_tar: " + full + ": index_mismatch: " + side + " says 0 samples, the shard has 50\n  HINT: correct the count"));
    CHECK(has(resolved({}), "index_mismatch: " + side + " says 0 samples"));
    dir.write("sizes.json", "{\"a.tar\": 50, \"b.tar\": 0}");
    CHECK(counts({full, empty}, options).samples == list{50, 0});
    fs::remove(side);
    auto const offsets = dir.write("a.tar.idx", u64({0}));  // Energon's form of an empty shard
    CHECK(has(error_of([&] { counts({full, empty}, options); }), "index_mismatch: the index beside it says 0 samples, the shard has 50"));
    fs::remove(offsets);
    CHECK(has(resolved({.counts = {0, 0}}), "read_tar: " + full + ": index_mismatch: the plan says 0 samples, the shard has 50\n  HINT: leave samples_per_shard and counts out"));
    CHECK(resolved({.counts = {50, 0}}) == "no error");
}

TEST_CASE("shard_counts: sizes.json speaks of the shards of its own directory, and names that are not there are told", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    fs::create_directories(dir.path("x"));
    fs::create_directories(dir.path("y"));
    auto const a = dir.write("x/0.tar", shard(2)), b = dir.write("y/0.tar", shard(3)), c = dir.write("y/1.tar", shard(4));
    auto told = std::string{};
    auto const options = ps::shard_counts_options{.write_index = false, .progress = {}, .notes = [&](std::string const& note) { told += note + ";"; }, .who = "here"};
    auto const side = dir.write("x/sizes.json", "{\"0.tar\": 2}");
    auto const found = counts({a, b, c}, options);
    CHECK(found.samples == list{2, 3, 4});
    CHECK(found.scanned == 2);
    CHECK(told.empty());
    dir.write("x/sizes.json", "{\"0.tar\": 2, \"7.tar\": 9, \"8.tar\": 9}");
    CHECK(counts({a}, options).samples == list{2});
    CHECK(told == "here: " + side + " lists 2 shards that are not there: " + dir.path("x/7.tar") + ", ...;");
    dir.write("x/7.tar", shard(9));
    told.clear();
    (void)counts({a}, options);
    CHECK(told == "here: " + side + " lists 1 shard that is not there: " + dir.path("x/8.tar") + ";");
}

TEST_CASE("shard_counts: a foreign file under the name of the index stops a scan that would be remembered, and stays", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("a.tar", shard(2)), notes = dir.write(".penstock-index", "my notes");
    CHECK(has(error_of([&] { counts({path}, {.progress = {}}); }), notes + ": this is no index of penstock"));
    CHECK(counts({path}, {.write_index = false, .progress = {}}).samples == list{2});
    CHECK(test::file_bytes(notes) == "my notes");
    fs::remove(notes);
    auto const lock = dir.write(".penstock-counting", "somebody's");  // no turn is taken, and nothing is lost
    CHECK(counts({path}, {.progress = {}}).samples == list{2});
    CHECK(test::file_bytes(lock) == "somebody's");
}

TEST_CASE("shard_counts: names behind an address are not scanned unless it is asked for", "[unit][formats]") {
    auto options = ps::shard_counts_options{.local = false, .progress = {}, .who = "read_tar"};
    options.count = [](std::string const& path) { return path.size(); };
    auto const remote = std::vector<std::string>{"a.tar", "s3://bucket/b.tar"};
    auto const text = error_of([&] { counts(remote, options); });
    CHECK(has(text, "read_tar: the number of samples of 2 shards is not known, the first is s3://bucket/b.tar, and shards behind an address are not scanned unless it is asked for\n  HINT: give samples_per_shard"));
    options.scan = ps::scan_shards::always;
    CHECK(counts(remote, options).samples == list{5, 17});
    options.scan = ps::scan_shards::never;
    CHECK(has(error_of([&] { counts({"a.tar"}, options); }), "of 1 shard is not known, the first is a.tar, and scan is never"));
}

TEST_CASE("shard_counts: many shards give the same on any number of threads", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    auto expected = list{};
    for (int i = 0; i < 23; ++i) {
        paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i * 7 % 11)));
        expected.push_back(static_cast<std::uint64_t>(i * 7 % 11));
    }
    auto options = ps::shard_counts_options{.write_index = false};
    for (int threads : {1, 2, 8, 100}) {
        options.threads = threads;
        CHECK(counts(paths, options).samples == expected);
    }
    auto now = std::atomic<int>{0}, most = std::atomic<int>{0};
    options.threads = 3;
    options.count = [&](std::string const& path) {
        for (int seen = ++now, m = most; seen > m && !most.compare_exchange_weak(m, seen);) {}
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        --now;
        return ps::count_samples(ps::io::open_file(path));
    };
    CHECK(counts(paths, options).samples == expected);
    CHECK(most <= 3);
    options.threads = 0;
    CHECK(has(error_of([&] { counts(paths, options); }), "threads must be >= 1, got 0\n  HINT"));
}

TEST_CASE("shard_counts: the error is that of the first bad shard, and what was scanned before it is remembered", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 20; ++i) paths.push_back(dir.write(std::to_string(i) + ".tar", i == 5 || i == 6 || i == 19 ? shard(3).substr(0, 700) : shard(200)));
    for (int round = 0; round < 20; ++round) {
        auto const text = error_of([&] { counts(paths, {.write_index = round == 19}); });
        CHECK(has(text, paths[5]));
        CHECK(has(text, "truncated"));
    }
    auto const index = ps::shard_index::read(dir.path() + "/");
    CHECK(index.size() >= 5);
    CHECK(index.look(paths[4]).samples == 200u);
    CHECK_FALSE(index.find("5.tar"));
    paths[2] = dir.path("missing.tar");
    CHECK(has(error_of([&] { counts(paths); }), "missing.tar: cannot open for reading: No such file"));
}

TEST_CASE("shard_counts: a scan that is killed goes on where it was", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 6; ++i) paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i)));
    auto const child = ::fork();
    if (child == 0) {
        auto options = ps::shard_counts_options{.threads = 1, .progress = {}};
        int n = 0;
        options.count = [&n](std::string const& path) {
            std::this_thread::sleep_for(std::chrono::milliseconds(800));
            if (n++ == 4) ::raise(SIGKILL);
            return ps::count_samples(ps::io::open_file(path));
        };
        (void)counts(paths, options);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    auto const left = counts(paths);
    CHECK(left.samples == list{0, 1, 2, 3, 4, 5});
    CHECK(left.from_index == 3);  // written after 2.4 s
    CHECK(left.scanned == 3);
}

TEST_CASE("shard_counts: of processes that scan at once, one does the work", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 8; ++i) paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i)));
    auto scanned = std::atomic<int>{0};
    auto same = std::atomic<int>{0};
    {
        auto options = ps::shard_counts_options{.threads = 1, .progress = {}};
        options.count = [&](std::string const& path) {
            ++scanned;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            return ps::count_samples(ps::io::open_file(path));
        };
        std::vector<std::jthread> ranks;  // flock is per open file: threads are as foreign to each other as processes
        for (int r = 0; r != 4; ++r) ranks.emplace_back([&] { same += counts(paths, options).samples == list{0, 1, 2, 3, 4, 5, 6, 7} ? 1 : 0; });
    }
    CHECK(same == 4);
    CHECK(scanned == 8);
}

TEST_CASE("shard_counts: a directory that cannot be written costs a scan, not an error", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("a.tar", shard(2));
    fs::create_directory(ps::io::atomic_file::temporary_of(dir.path(".penstock-index")));  // works for root too: the index cannot be created
    fs::create_directory(dir.path(".penstock-counting"));
    CHECK(counts({path}).samples == list{2});
    CHECK(counts({path}).scanned == 1);
    CHECK_FALSE(fs::exists(dir.path(".penstock-index")));
}

TEST_CASE("print_progress: what a scan will cost is said before it starts, and nothing about a short one", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.path("out");
    auto const told = [&](double estimate, double seconds) {
        auto* const out = std::fopen(path.c_str(), "w");
        auto sink = ps::print_progress(out);
        auto p = ps::shard_progress{.who = "read_tar", .doing = "counting", .reason = "a.tar is not in the index", .shards = 1280, .bytes = 1'234'567'890'123, .estimate = estimate, .threads = 4};
        sink(p);
        for (int i = 1; i <= 4; ++i) {
            p.done += 320;
            p.samples += 10'000;
            p.seconds += seconds / 4;
            p.estimate = seconds;
            sink(p);
        }
        std::fclose(out);
        return test::file_bytes(path);
    };
    CHECK(told(0.5, 0.6).empty());
    CHECK(told(42.2, 40) == "read_tar: counting 1,280 shards of 1.23 TB by reading their headers, about 42 s with 4 threads (a.tar is not in the index)\n"
                            "read_tar: counting 320 of 1,280 shards, 30 s left\nread_tar: counting 640 of 1,280 shards, 20 s left\nread_tar: counting 960 of 1,280 shards, 10 s left\n"
                            "read_tar: counting done: 1,280 shards, 40,000 samples, in 40 s\n");
    CHECK(has(told(0, 8), "counting 1,280 shards of 1.23 TB by reading their headers, about 8.0 s"));
    CHECK(ps::detail::readable_bytes(0) == "0 B");
    CHECK(ps::detail::readable_bytes(999) == "999 B");
    CHECK(ps::detail::readable_bytes(999'999) == "1.00 MB");
    CHECK(ps::detail::readable_bytes(12'345) == "12.3 kB");
    CHECK(ps::detail::grouped(1000) == "1,000");
    CHECK(ps::detail::grouped(999) == "999");
    CHECK(ps::detail::readable_seconds(7300) == "2.0 h");
}

TEST_CASE("header_scan_cost: seconds per byte from the beginning of a shard", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const cost = ps::header_scan_cost(ps::io::open_file(dir.write("a.tar", shard(500, 1000))));
    REQUIRE(cost);
    CHECK((*cost > 0 && *cost < 1e-5));
    CHECK_FALSE(ps::header_scan_cost(ps::io::open_file(dir.write("b.tar", "no tar"))));
}
