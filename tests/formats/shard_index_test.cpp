// Implements: tests of shard_index: written and read back, every cut and flip, changes of several processes.
#include <penstock/formats/shard_index.hpp>

#include <support/temp_dir.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
/// An index of these lines as the library writes it.
std::string sealed(std::string const& lines, int shards) { return lines + ps::message("end ", shards, ' ', ps::io::crc32c(lines.data(), lines.size()), '\n'); }
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("shard_index: written and read back", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto index = ps::shard_index{};
    index.set("b c.tar", {7, 10'240, -5});
    index.set("a.tar", {0, 1024, 1'700'000'000'123'456'789});
    index.set("bad\nname", {1, 1, 1});
    index.write(dir.path() + "/");
    auto const text = test::file_bytes(dir.path("penstock-index"));
    CHECK(text == sealed("penstock-index 2\n0 1024 1700000000123456789 a.tar\n7 10240 -5 b c.tar\n", 2));
    auto const again = ps::shard_index::read(dir.path() + "/");
    CHECK(again.problem().empty());
    CHECK(again.size() == 2);
    CHECK(again.find("b c.tar") == ps::shard_index::entry{7, 10'240, -5});
    CHECK_FALSE(again.find("b"));
    CHECK(ps::shard_index::read(dir.path("nowhere/")).size() == 0);
    CHECK(ps::shard_index::read(dir.path("nowhere/")).problem().empty());
    CHECK(ps::shard_index::split("a/b/c.tar") == std::pair<std::string, std::string>("a/b/", "c.tar"));
    CHECK(ps::shard_index::split("c.tar") == std::pair<std::string, std::string>("", "c.tar"));
}

TEST_CASE("shard_index: every cut, every flipped byte and every wrong line is a problem, never a wrong count", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const read = [&](std::string_view text) {
        dir.write("penstock-index", text);
        return ps::shard_index::read(dir.path() + "/");
    };
    auto const good = sealed("penstock-index 2\n3 1024 5 a.tar\n4 1024 5 b.tar\n", 2);
    REQUIRE(read(good).problem().empty());
    for (std::size_t n = 0; n < good.size(); ++n) {
        auto const index = read(std::string_view(good).substr(0, n));
        REQUIRE_FALSE(index.problem().empty());
        REQUIRE(index.size() == 0);
        REQUIRE(has(index.look(dir.path("a.tar")).reason, "penstock-index"));
    }
    for (std::size_t n = 0; n < good.size(); ++n) {
        auto flipped = good;
        flipped[n] = static_cast<char>(flipped[n] ^ 1);
        INFO(flipped);
        REQUIRE_FALSE(read(flipped).problem().empty());
    }
    for (auto const& bad : {sealed("penstock-index 1\n", 0), sealed("penstock-index 3\n", 0), sealed("penstock-index 2\n3 1024 5 a.tar\n3 1024 5 a.tar\n", 2), sealed("penstock-index 2\n3 1024 5 b.tar\n3 1024 5 a.tar\n", 2),
                            sealed("penstock-index 2\nx 1024 5 a.tar\n", 1), sealed("penstock-index 2\n3 1024 5 \n", 1), sealed("penstock-index 2\n-3 1024 5 a\n", 1), sealed("penstock-index 2\n3 1024 5 a\n", 2),
                            sealed("penstock-index 2\n", 0) + "more\n", sealed("penstock-index 2\n3  1024 5 a\n", 1)}) {
        INFO(bad);
        CHECK_FALSE(read(bad).problem().empty());
    }
    fs::remove(dir.path("penstock-index"));
    fs::create_directory(dir.path("penstock-index"));
    CHECK(has(ps::shard_index::read(dir.path() + "/").problem(), "Is a directory"));
}

TEST_CASE("shard_index: changes are seen at once, and several writers keep each other's", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    auto names = [](ps::shard_index const& index) {
        std::string all;
        index.each([&](std::string_view name, ps::shard_index::entry const& e) { all += ps::message(name, ':', e.samples, ' '); });
        return all;
    };
    auto first = ps::shard_index{};
    for (auto n : {"b", "d", "f"}) first.set(n, {1, 1, 1});
    first.write(base);
    auto one = ps::shard_index::read(base), two = ps::shard_index::read(base);
    for (auto n : {"a", "d", "g"}) one.set(n, {2, 1, 1});
    one.forget("f");
    one.forget("never");
    CHECK(names(one) == "a:2 b:1 d:2 g:2 ");
    CHECK(one.size() == 4);
    CHECK_FALSE(one.find("f"));
    CHECK(one.find("d")->samples == 2);
    two.set("c", {3, 1, 1});
    one.write(base);
    two.write(base);
    CHECK(names(ps::shard_index::read(base)) == "a:2 b:1 c:3 d:2 g:2 ");
    {
        std::vector<std::jthread> writers;
        for (int t = 0; t != 8; ++t)
            writers.emplace_back([&base, t] {
                auto mine = ps::shard_index{};
                mine.set(ps::message("t", t), {1, 1, 1});
                mine.write(base);
            });
    }
    CHECK(ps::shard_index::read(base).size() == 13);
}

TEST_CASE("shard_index: loads and finds 100,000 shards", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto text = std::string("penstock-index 2\n");
    for (int i = 0; i != 100'000; ++i) text += ps::message(1000 + i % 7, " 104857600 1700000000123456789 part-", 100'000 + i, ".tar\n");
    dir.write("penstock-index", sealed(text, 100'000));
    auto const index = ps::shard_index::read(dir.path() + "/");
    CHECK(index.problem().empty());
    CHECK(index.size() == 100'000);
    CHECK(index.find("part-199999.tar")->samples == 1000 + 99'999 % 7);
}
