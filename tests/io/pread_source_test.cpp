// Implements: tests of pread_source: windows, large reads, files that change, cancellation.
#include <penstock/io/mmap_source.hpp>
#include <penstock/io/pread_source.hpp>

#include <support/faulty_source.hpp>
#include <support/temp_dir.hpp>

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
std::string noise(std::size_t n) {
    auto rng = std::mt19937(5);
    auto text = std::string(n, '\0');
    for (auto& c : text) c = static_cast<char>(rng());
    return text;
}
std::string_view text_of(std::span<std::byte const> s) { return {reinterpret_cast<char const*>(s.data()), s.size()}; }
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::io);
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("pread_source: any range reads as it is in the file", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const all = noise(700'001);
    auto source = ps::io::pread_source(dir.write("f", all));
    CHECK(source.size() == all.size());
    auto rng = std::mt19937(1);
    auto kept = std::vector<std::pair<std::string_view, ps::blob>>{};
    for (int i = 0; i < 3000; ++i) {
        auto const longest = i % 5 == 0 ? 300'000u : i % 3 == 0 ? 40'000u : 2'000u;
        auto const at = rng() % all.size();
        auto const n = std::min<std::size_t>(rng() % longest, all.size() - at);
        auto const expected = std::string_view(all).substr(at, n);
        if (i % 2 == 0) REQUIRE(text_of(source.peek(at, n)) == expected);
        else {
            auto bytes = source.read(at, n);
            REQUIRE(bytes.text() == expected);
            if (i % 100 == 1) kept.emplace_back(expected, bytes);
        }
    }
    for (std::size_t at = 0; at + 512 <= all.size(); at += 512) REQUIRE(text_of(source.peek(at, 512)) == std::string_view(all).substr(at, 512));
    for (auto const& [expected, bytes] : kept) CHECK(bytes.text() == expected);  // blobs do not live in the window
    CHECK(source.read(all.size(), 0).empty());
    CHECK(error_of([&] { source.read(all.size() - 1, 2); }).find("asked of 700001") != std::string::npos);
    CHECK(error_of([&] { source.peek(~std::uint64_t{0}, 2); }).find("asked of") != std::string::npos);
}

TEST_CASE("pread_source: a file that is shortened is an error with both lengths", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("f", noise(900'000));
    auto source = ps::io::pread_source(path);
    (void)source.read(0, 100'000);
    fs::resize_file(path, 300'000);
    CHECK(error_of([&] { source.read(100'000, 100'000); }).find("300000 now") != std::string::npos);  // the bytes are there, but nobody knows whether they are those of before
    for (std::size_t length : {std::size_t{512}, std::size_t{100'000}}) {
        auto const text = error_of([&] { source.read(299'900, length); });
        CHECK(text.find(path) != std::string::npos);
        CHECK(text.find("shortened while it was read: 900000 bytes when opened, 300000 now") != std::string::npos);
        CHECK(text.find("HINT") != std::string::npos);
    }
    CHECK(error_of([&] { source.verify(); }).find("300000 now") != std::string::npos);
    fs::resize_file(path, 900'001);
    CHECK(error_of([&] { source.verify(); }).find("lengthened") != std::string::npos);
    fs::resize_file(path, 900'000);
    CHECK(error_of([&] { source.read(500'000, 10); }).find("written to while it was read") != std::string::npos);  // zeros are there now
}

TEST_CASE("pread_source, mmap_source: a file overwritten at the same length is an error from the first read that could see it", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const all = noise(900'000);
    auto const path = dir.write("f", all);
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
    auto copied = ps::io::pread_source(path);
    auto mapped = ps::io::mmap_source(path);
    CHECK(text_of(copied.peek(0, 512)) == all.substr(0, 512));
    (void)mapped.peek(0, 512);
    {
        auto file = std::fstream(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(700'000);
        file << "other bytes";
    }
    auto const expected = "the file was written to while it was read: its length is the same, its time of change is not\n  HINT: write shards under another name";
    CHECK(text_of(copied.peek(0, 512)) == all.substr(0, 512));  // of the window that was read before
    for (std::uint64_t at : {5'000u, 500'000u, 700'000u}) {
        CHECK(error_of([&] { copied.peek(at, 512); }).find(expected) != std::string::npos);
        CHECK(error_of([&] { copied.read(at, 100'000); }).find(expected) != std::string::npos);
    }
    CHECK(error_of([&] { copied.verify(); }).find(expected) != std::string::npos);
    CHECK(error_of([&] { mapped.verify(); }).find(expected) != std::string::npos);
}

TEST_CASE("pread_source: many pooled files share a few descriptors, and are read as if each had its own", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const all = noise(20'000);
    auto files = std::vector<std::unique_ptr<ps::io::pread_source>>{};
    auto const open_now = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{}); };
    auto const before = open_now();
    for (int i = 0; i != 200; ++i) files.push_back(std::make_unique<ps::io::pread_source>(dir.write(std::to_string(i), all.substr(static_cast<std::size_t>(i))), true));
    CHECK(open_now() - before <= 64);
    auto limit = ::rlimit{}, small = ::rlimit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    small = limit;
    small.rlim_cur = static_cast<::rlim_t>(open_now()) + 1;
    auto const room = ps::io::descriptor_pool::most();
    ::setrlimit(RLIMIT_NOFILE, &small);
    CHECK(ps::io::descriptor_pool::most() <= room);
    auto wrong = std::atomic<int>{0};
    {
        auto readers = std::vector<std::jthread>{};
        for (std::size_t t = 0; t != 4; ++t)
            readers.emplace_back([&, t] {
                for (int round = 0; round != 3; ++round)
                    for (std::size_t i = t; i < files.size(); i += 4)
                        if (files[i]->read(static_cast<std::uint64_t>(round) * 6000, 100).text() != std::string_view(all).substr(i + static_cast<std::size_t>(round) * 6000, 100)) ++wrong;
            });
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(wrong == 0);
    // a file that was replaced while nobody held it open is another file
    fs::rename(dir.write("g", all), dir.path("0"));
    for (std::size_t i = 1; i != 200; ++i) (void)files[i]->read(19'000, 10);
    CHECK(error_of([&] { files[0]->read(9'000, 10); }).find("another file took its name while it was read\n  HINT") != std::string::npos);
}

TEST_CASE("pread_source: a file that is replaced or removed is read to its end", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const all = noise(500'000);
    auto const path = dir.write("f", all);
    auto source = ps::io::pread_source(path);
    (void)source.read(0, 10);
    fs::rename(dir.write("g", "other"), path);
    CHECK(source.read(400'000, 100'000).text() == std::string_view(all).substr(400'000));
    fs::remove(path);
    CHECK(source.read(300'000, 100).text() == std::string_view(all).substr(300'000, 100));
    CHECK_NOTHROW(source.verify());
}

TEST_CASE("pread_source: cancel ends every later read that needs the file", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto source = ps::io::pread_source(dir.write("f", noise(500'000)));
    std::thread([&] { source.cancel(); }).join();
    CHECK(error_of([&] { source.read(0, 10); }).find("cancelled") != std::string::npos);
    CHECK(error_of([&] { source.read(0, 400'000); }).find("cancelled") != std::string::npos);
}

TEST_CASE("faulty_source: a waiting read ends when it is cancelled", "[unit][io]") {
    auto source = test::faulty_source(noise(1000));
    source.delay = std::chrono::minutes(10);
    auto other = std::jthread([&] { source.cancel(); });
    CHECK(error_of([&] { source.read(0, 10); }).find("cancelled") != std::string::npos);
}
