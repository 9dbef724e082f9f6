// Implements: tests of count_samples: one shard, many in parallel, W10 (a key that comes back), damage.
#include <penstock/formats/tar_count.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <atomic>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string shard(int samples, std::size_t size = 10) {
    auto maker = test::tar_maker{};
    for (int i = 0; i < samples; ++i) maker.add(std::to_string(i) + ".cls", "7").add(std::to_string(i) + ".bin", std::string(size, 'b'));
    return maker.end().bytes;
}
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::stage_error const& e) {
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("count_samples: by headers alone", "[unit][formats]") {
    auto source = test::faulty_source(shard(200, 4000));
    CHECK(ps::count_samples(source) == 200);
    CHECK(source.bytes_read < 450 * 512);
    auto none = test::faulty_source(std::string(1024, '\0'));
    CHECK(ps::count_samples(none) == 0);
    auto faulty = test::faulty_source(test::tar_maker{}.add("a.x", "1").add("a.x", "2").add("b.x", "3").end().bytes);
    CHECK(ps::count_samples(faulty) == 2);  // the faulty sample takes its place when it is read
}

TEST_CASE("count_samples: W10, a key that comes back is refused", "[unit][formats]") {
    auto source = test::faulty_source(test::tar_maker{}.add("a.x", "1").add("b.x", "2").add("c.x", "2").add("a.y", "3").end().bytes, "mem.tar");
    auto const text = error_of([&] { ps::count_samples(source); });
    CHECK(text.find("mem.tar, sample 'a', byte 3072: returning_key: the key was there before, at byte 0") != std::string::npos);
    CHECK(text.find("HINT: files of one sample must follow each other") != std::string::npos);
}

TEST_CASE("count_samples: many shards give the same on any number of threads", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    auto expected = std::vector<std::uint64_t>{};
    for (int i = 0; i < 23; ++i) {
        paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i * 7 % 11)));
        expected.push_back(static_cast<std::uint64_t>(i * 7 % 11));
    }
    for (int threads : {1, 2, 8, 100}) CHECK(ps::count_samples(paths, {.threads = threads}) == expected);
    CHECK(ps::count_samples(std::vector<std::string>{}, {}).empty());

    auto now = std::atomic<int>{0}, most = std::atomic<int>{0};
    auto options = ps::count_options{.threads = 3};
    options.open = [&](std::string const& path) {
        for (int seen = ++now, m = most; seen > m && !most.compare_exchange_weak(m, seen);) {}
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        --now;
        return ps::io::open_file(path);
    };
    CHECK(ps::count_samples(paths, options) == expected);
    CHECK(most <= 3);

    CHECK_THROWS_AS(ps::count_samples(paths, {.threads = 0}), ps::config_error);
}

TEST_CASE("count_samples: the error is that of the first bad shard, whatever the timing", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 20; ++i) paths.push_back(dir.write(std::to_string(i) + ".tar", i == 5 || i == 6 || i == 19 ? shard(3).substr(0, 700) : shard(200)));
    for (int round = 0; round < 20; ++round) {
        auto const text = error_of([&] { ps::count_samples(paths, {.threads = 4}); });
        CHECK(text.find(paths[5] + ", sample '0', byte 512") == text.npos);
        CHECK(text.find(paths[5]) != text.npos);
        CHECK(text.find("truncated") != text.npos);
    }
    paths[2] = dir.path("missing.tar");
    CHECK(error_of([&] { ps::count_samples(paths, {.threads = 4}); }).find("missing.tar: cannot open for reading: No such file") != std::string::npos);
}
