// Implements: tests of shard_index, sizes.json and shard_counts: what is believed, what is not, and what is scanned.
#include <penstock/formats/shard_counts.hpp>

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
std::string shard(int samples) {
    auto maker = test::tar_maker{};
    for (int i = 0; i < samples; ++i) maker.add(std::to_string(i) + ".cls", "7");
    return maker.end().bytes;
}
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
}  // namespace

TEST_CASE("shard_index: written and read back", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto index = ps::shard_index{};
    index.set("b c.tar", {7, 10'240, -5});
    index.set("a.tar", {0, 1024, 1'700'000'000'123'456'789});
    index.set("bad\nname", {1, 1, 1});
    index.write(dir.path("")  + "/");
    CHECK(test::file_bytes(dir.path("penstock-index")) == "penstock-index 1\n0 1024 1700000000123456789 a.tar\n7 10240 -5 b c.tar\nend 2\n");
    auto const again = ps::shard_index::read(dir.path() + "/");
    CHECK(again.problem().empty());
    CHECK(again.entries().size() == 2);
    CHECK(again.entries().at("b c.tar") == ps::shard_index::entry{7, 10'240, -5});
    CHECK(ps::shard_index::read(dir.path("nowhere/")).entries().empty());
    CHECK(ps::shard_index::read(dir.path("nowhere/")).problem().empty());
    CHECK(ps::shard_index::split("a/b/c.tar") == std::pair<std::string, std::string>("a/b/", "c.tar"));
    CHECK(ps::shard_index::split("c.tar") == std::pair<std::string, std::string>("", "c.tar"));
}

TEST_CASE("shard_index: every cut and every wrong line is a problem, never a wrong count", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const good = std::string("penstock-index 1\n3 1024 5 a.tar\n4 1024 5 b.tar\nend 2\n");
    for (std::size_t n = 0; n < good.size(); ++n) {
        dir.write("penstock-index", good.substr(0, n));
        auto const index = ps::shard_index::read(dir.path() + "/");
        REQUIRE_FALSE(index.problem().empty());
        REQUIRE(index.entries().empty());
        REQUIRE(has(index.look(dir.path("a.tar")).reason, "penstock-index"));
    }
    for (std::string bad : {"penstock-index 2\nend 0\n", "penstock-index 1\n3 1024 5 a.tar\n3 1024 5 a.tar\nend 2\n", "penstock-index 1\nx 1024 5 a.tar\nend 1\n", "penstock-index 1\n3 1024 5 \nend 1\n",
                            "penstock-index 1\n-3 1024 5 a\nend 1\n", "penstock-index 1\n3 1024 5 a\nend 2\n", "penstock-index 1\nend 0\nmore\n", "penstock-index 1\n3  1024 5 a\nend 1\n"}) {
        dir.write("penstock-index", bad);
        INFO(bad);
        CHECK_FALSE(ps::shard_index::read(dir.path() + "/").problem().empty());
    }
    fs::remove(dir.path("penstock-index"));
    fs::create_directory(dir.path("penstock-index"));
    CHECK(has(ps::shard_index::read(dir.path() + "/").problem(), "Is a directory"));
}

TEST_CASE("read_sizes_json: the flat object, and nothing else", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const read = [&](std::string_view text) { return ps::read_sizes_json(dir.write("sizes.json", text)); };
    CHECK(read("{}").empty());
    CHECK(read(" { } \n").empty());
    CHECK(read("{\"00000.tar\": 10000, \"a\\\"\\\\\\/b\":0}\n") == std::map<std::string, std::uint64_t>{{"00000.tar", 10000}, {"a\"\\/b", 0}});
    for (auto bad : {"", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":1e3}", "{\"a\":01}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":1}x", "{\"a\":\"1\"}", "{\"a\":1,\"a\":1}",
                     "{a:1}", "{\"a:1}", "{\"a\\n\":1}", "{\"a\":99999999999999999999}", "{\"a\":{}}", "{\"a\"", "{\"a\":1", "{\"\\"}) {
        INFO(bad);
        auto const text = error_of([&] { read(bad); });
        CHECK(has(text, "read_sizes_json: " + dir.path("sizes.json") + ", byte "));
        CHECK(has(text, ": expected "));
    }
}

TEST_CASE("shard_counts: the index first, then sizes.json, then a scan that writes the index", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 6; ++i) paths.push_back(dir.write(std::to_string(i) + ".tar", shard(i)));
    auto told = std::string{};
    auto options = ps::shard_counts_options{.threads = 2};
    options.before_scan = [&](std::size_t n, std::uint64_t bytes, std::string const& why) { told = ps::message(n, " shards, ", bytes, " bytes: ", why); };
    auto const first = ps::shard_counts(paths, options);
    CHECK(first.samples == list{0, 1, 2, 3, 4, 5});
    CHECK(first.scanned == 6);
    CHECK(told == ps::message("6 shards, ", 6 * 1024 + 15 * 1024, " bytes: ", paths[0], " is not in the index"));

    told.clear();
    auto const second = ps::shard_counts(paths, options);
    CHECK(second.samples == first.samples);
    CHECK(second.from_index == 6);
    CHECK(second.scanned == 0);
    CHECK(told.empty());

    dir.write("3.tar", shard(9));
    auto const third = ps::shard_counts(paths, options);
    CHECK(third.samples == list{0, 1, 2, 9, 4, 5});
    CHECK(third.scanned == 1);
    CHECK(has(told, "3.tar has "));

    auto cut = shard(5);
    dir.write("5.tar", cut.substr(0, 3000) + std::string(cut.size() - 3000, '\0'));  // the same length, another content
    auto const fourth = ps::shard_counts(paths, options);
    CHECK(fourth.scanned == 1);
    CHECK(has(told, "5.tar was changed after it was indexed"));

    dir.write("sizes.json", "{\"0.tar\": 10, \"1.tar\": 11, \"2.tar\": 12, \"3.tar\": 13, \"4.tar\": 14}");
    CHECK(ps::shard_counts(paths, options).from_index == 6);
    options.use_index = false;
    CHECK(has(error_of([&] { ps::shard_counts(paths, options); }), paths[5] + ": is not in " + dir.path("sizes.json")));
    paths.pop_back();
    auto const fifth = ps::shard_counts(paths, options);
    CHECK(fifth.samples == list{10, 11, 12, 13, 14});
    CHECK(fifth.from_sizes_json == 5);
    options.use_sizes_json = false;
    options.count = [](std::string const& path) { return path.size(); };
    CHECK(ps::shard_counts(paths, options).samples[0] == paths[0].size());
    CHECK(ps::shard_counts({}, options).samples.empty());
}

TEST_CASE("shard_counts: a damaged or missing shard is an error that names it", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const good = dir.write("a.tar", shard(2)), bad = dir.write("b.tar", shard(2).substr(0, 700));
    CHECK(has(error_of([&] { ps::shard_counts({good, bad}); }), bad));
    CHECK(has(error_of([&] { ps::shard_counts({good, dir.path("no.tar")}); }), "no.tar: cannot open for reading: No such file"));
    CHECK(has(error_of([&] { ps::shard_counts({good}, {.threads = 0}); }), "must be >= 1, got 0"));
}

TEST_CASE("shard_counts: a directory that cannot be written costs a scan, not an error", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("a.tar", shard(2));
    fs::create_directory(dir.path("penstock-index.tmp"));  // works for root too: the index cannot be created
    CHECK(ps::shard_counts({path}).samples == list{2});
    CHECK(ps::shard_counts({path}).scanned == 1);
    CHECK_FALSE(fs::exists(dir.path("penstock-index")));
}
