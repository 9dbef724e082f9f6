// Implements: tests of write_tar and complete_shards: policies, atomic sets, existing shards, two processes at once, full disks.
#include <penstock/formats/write_tar.hpp>
#include <penstock/formats/tar_count.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/take.hpp>

#include <support/temp_dir.hpp>

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
ps::fields numbered(std::int64_t i) {
    auto f = ps::fields({}, std::to_string(i), 0);
    f.add("cls", ps::blob::of(std::to_string(i % 10)));
    f.add("bin", ps::blob::own(std::string(1000, 'b')));
    return f;
}
auto numbers(std::int64_t n) { return ps::range(n) | ps::map(numbered); }
std::vector<std::uint64_t> sizes_of(ps::written_shards const& w) {
    auto sizes = std::vector<std::uint64_t>{};
    for (auto const& s : w.shards) {
        sizes.push_back(s.samples);
        CHECK(ps::count_samples(ps::io::open_file(s.path)) == s.samples);
        CHECK(fs::file_size(s.path) == s.bytes);
    }
    return sizes;
}
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::error const& e) {
        CHECK(std::string(e.what()).find("HINT: ") != std::string::npos);
        return e.what();
    }
    return "no error";
}
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
using list = std::vector<std::uint64_t>;
}  // namespace

TEST_CASE("write_tar: a new shard by samples, by bytes, by a list", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const by_samples = numbers(25) | ps::write_tar(dir.path("a/train-{}.tar"), {.samples = 10});
    CHECK(sizes_of(by_samples) == list{10, 10, 5});
    CHECK(by_samples.shards[2].path == dir.path("a/train-000002.tar"));
    CHECK(by_samples.samples == 25);
    CHECK(by_samples.bytes == by_samples.shards[0].bytes + by_samples.shards[1].bytes + by_samples.shards[2].bytes);
    CHECK(sizes_of(numbers(20) | ps::write_tar(dir.path("b-{}.tar"), {.samples = 10, .digits = 2})) == list{10, 10});
    CHECK(fs::exists(dir.path("b-01.tar")));
    CHECK(sizes_of(numbers(7) | ps::write_tar(dir.path("c-{}.tar"), {.bytes = 7000})) == list{3, 3, 1});  // 2,560 bytes a sample
    CHECK(sizes_of(numbers(9) | ps::write_tar(dir.path("d-{}.tar"), {.sizes = {4, 1, 4}})) == list{4, 1, 4});
    CHECK(sizes_of(numbers(0) | ps::write_tar(dir.path("e-{}.tar"))).empty());
    CHECK(has(error_of([&] { numbers(10) | ps::write_tar(dir.path("f-{}.tar"), {.sizes = {4, 5}}); }), "sizes list 9 samples in 2 shards, the stream goes on with '9' after 9"));
    CHECK(has(error_of([&] { numbers(8) | ps::write_tar(dir.path("g-{}.tar"), {.sizes = {4, 5}}); }), "the stream ended after 8"));
    CHECK(has(error_of([&] { numbers(4) | ps::write_tar(dir.path("h-{}.tar"), {.sizes = {4, 5}}); }), "the stream ended after 4"));
    for (auto const& e : fs::recursive_directory_iterator(dir.path())) CHECK_FALSE(has(e.path().string(), ".penstock-tmp"));
    CHECK_FALSE(fs::exists(dir.path("a/.penstock-writing")));
}

TEST_CASE("write_tar: the example", "[unit][formats]") {
    using ps::map, ps::range, ps::write_tar;
    auto const dir = test::temp_dir{};
    auto const before = fs::current_path();
    fs::current_path(dir.path());
    auto const files = numbered;
    auto const made =
    // example-begin write_tar
    range(25) | map(files) | write_tar("data/train-{}.tar", {.samples = 10})    // shards of 10, 10 and 5 samples
    // example-end
    ;
    CHECK(sizes_of(made) == list{10, 10, 5});
    fs::current_path(before);
}

TEST_CASE("write_tar: keyed items give their key, plain fields their own", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto item = ps::sample{};
    item.key = "outer";
    item.value = numbered(5);
    auto inner = item;
    inner.key.clear();
    auto const w = ps::from_vector(std::vector{item, inner}) | ps::write_tar(dir.path("{}.tar"));
    auto walker = ps::detail::tar_walker(ps::io::open_file(w.shards[0].path));
    CHECK(walker.next()->key() == "outer");
    CHECK(walker.next()->key() == "5");
}

TEST_CASE("write_tar: wrong options throw while the chain is built", "[unit][formats]") {
    CHECK(has(error_of([] { (void)ps::write_tar("train.tar"); }), "must have one {} in its file name, got 'train.tar'"));
    CHECK(has(error_of([] { (void)ps::write_tar("a-{}/train.tar"); }), "one {}"));
    CHECK(has(error_of([] { (void)ps::write_tar("{}-{}.tar"); }), "one {}"));
    CHECK(has(error_of([] { (void)ps::write_tar("{}.tar", {.samples = 0}); }), "must be >= 1, got 0"));
    CHECK(has(error_of([] { (void)ps::write_tar("{}.tar", {.sizes = {3, 0}}); }), "sizes must be >= 1"));
    CHECK(has(error_of([] { (void)ps::write_tar("{}.tar", {.digits = 0}); }), "digits must be 1 to 18, got 0"));
}

TEST_CASE("write_tar: shards that exist are kept, or replaced as a whole", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const pattern = dir.path("t-{}.tar");
    (void)(numbers(30) | ps::write_tar(pattern, {.samples = 10}));
    (void)(numbers(3) | ps::write_tar(dir.path("v-{}.tar")));
    CHECK(has(error_of([&] { numbers(4) | ps::write_tar(pattern); }), "t-000000.tar: the pattern has 3 shards already"));
    CHECK(ps::complete_shards(pattern, 30));
    (void)(numbers(15) | ps::write_tar(pattern, {.samples = 10, .existing = ps::existing_shards::replace}));
    CHECK_FALSE(fs::exists(dir.path("t-000002.tar")));  // a pattern never mixes two sets
    auto const set = ps::complete_shards(pattern, 15);
    REQUIRE(set);
    CHECK(sizes_of(*set) == list{10, 5});
    CHECK(ps::complete_shards(dir.path("v-{}.tar"), 3));  // the index of the directory keeps other sets
}

TEST_CASE("complete_shards: whatever is not whole and unchanged is named", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const pattern = dir.path("t-{}.tar");
    auto why = std::string{};
    auto const complete = [&](std::optional<std::uint64_t> n = {}) {
        why.clear();
        return ps::complete_shards(pattern, n, 6, &why).has_value();
    };
    CHECK_FALSE(complete());
    CHECK(has(why, "no shard of"));
    (void)(numbers(25) | ps::write_tar(pattern, {.samples = 10}));
    CHECK(complete());
    CHECK(complete(25));
    CHECK_FALSE(complete(26));
    CHECK(has(why, "has 25 samples, 26 are wanted"));
    dir.write("t-000003.tar", "stray");
    CHECK_FALSE(complete());
    CHECK(has(why, "4 shards"));
    fs::remove(dir.path("t-000003.tar"));
    fs::last_write_time(dir.path("t-000001.tar"), fs::file_time_type::clock::now() + std::chrono::seconds(5));
    CHECK(complete());  // as after a copy
    auto bytes = test::file_bytes(dir.path("t-000001.tar"));
    bytes[600] ^= 1;
    dir.write("t-000001.tar", bytes);
    fs::last_write_time(dir.path("t-000001.tar"), fs::file_time_type::clock::now() + std::chrono::seconds(9));
    CHECK_FALSE(complete());
    CHECK(has(why, "was changed after it was indexed"));
    fs::resize_file(dir.path("t-000001.tar"), 512);
    CHECK_FALSE(complete());
    CHECK(has(why, "has 512 bytes"));
    fs::remove(dir.path("t-000001.tar"));
    CHECK_FALSE(complete());
    dir.write(".penstock-index", "nonsense");
    CHECK_FALSE(complete());
    CHECK(has(why, "is no index of penstock"));
}

TEST_CASE("write_tar: an error in mid-stream leaves whole shards, no index and no temporary", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const pattern = dir.path("t-{}.tar");
    auto const text = error_of([&] {
        ps::range(25) | ps::map([](std::int64_t i) { return i == 17 ? throw ps::stage_error("test", ps::fault::user, {}, "seventeen", "none") : numbered(i); }) |
            ps::write_tar(pattern, {.samples = 10});
    });
    CHECK(has(text, "seventeen"));
    CHECK(fs::exists(dir.path("t-000000.tar")));
    CHECK_FALSE(fs::exists(dir.path("t-000001.tar")));
    CHECK_FALSE(fs::exists(ps::io::atomic_file::temporary_of(dir.path("t-000001.tar"))));
    CHECK_FALSE(ps::complete_shards(pattern));
    (void)(numbers(25) | ps::write_tar(pattern, {.samples = 10, .existing = ps::existing_shards::replace}));
    CHECK(ps::complete_shards(pattern, 25));
}

TEST_CASE("write_tar: a killed process leaves nothing that stands in the way", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const pattern = dir.path("t-{}.tar");
    (void)(numbers(5) | ps::write_tar(pattern, {.samples = 10}));
    auto const child = ::fork();
    if (child == 0) {
        try {
            ps::range(35) | ps::map([](std::int64_t i) {
                if (i == 27) ::kill(::getpid(), SIGKILL);
                return numbered(i);
            }) | ps::write_tar(pattern, {.samples = 10, .existing = ps::existing_shards::replace});
        } catch (...) {
        }
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    CHECK_FALSE(ps::complete_shards(pattern));  // never the old index over half of the new set
    (void)(numbers(35) | ps::write_tar(pattern, {.samples = 10, .existing = ps::existing_shards::replace}));
    CHECK(ps::complete_shards(pattern, 35));
}

TEST_CASE("write_tar: a second process is refused while the first one writes", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const pattern = dir.path("t-{}.tar");
    auto inner = std::string{};
    (void)(ps::range(15) | ps::map([&](std::int64_t i) {
               if (i == 12)  // flock is per open file: the same process is as foreign as another one
                   inner = error_of([&] { numbers(3) | ps::write_tar(pattern, {.existing = ps::existing_shards::replace}); });
               return numbered(i);
           }) |
           ps::write_tar(pattern, {.samples = 10}));
    CHECK(has(inner, "another process is writing here"));
    CHECK(ps::complete_shards(pattern, 15));
}

TEST_CASE("write_tar: a full disk names the shard and leaves no temporary", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    ::signal(SIGXFSZ, SIG_IGN);
    auto limit = ::rlimit{}, small = ::rlimit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 100'000;
    ::setrlimit(RLIMIT_FSIZE, &small);
    auto const text = error_of([&] { numbers(1000) | ps::write_tar(dir.path("t-{}.tar")); });
    ::setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(has(text, dir.path("t-000000.tar") + ": cannot write"));
    CHECK(has(text, "errno"));
    CHECK(fs::is_empty(dir.path()));
}
