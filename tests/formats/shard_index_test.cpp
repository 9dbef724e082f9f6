// Implements: tests of shard_index: written and read back, every cut and flip, changes of several processes.
#include <penstock/formats/shard_index.hpp>

#include <support/temp_dir.hpp>

#include <sys/resource.h>

#include <chrono>
#include <csignal>
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
    index.set("b c.tar", {7, 10'240, -5, 77});
    index.set("a.tar", {0, 1024, 1'700'000'000'123'456'789, 0});
    index.set("bad\nname", {1, 1, 1, 1});
    index.write(dir.path() + "/");
    auto const text = test::file_bytes(dir.path(".penstock-index"));
    CHECK(text == sealed("penstock-index 3\n0 1024 1700000000123456789 0 a.tar\n7 10240 -5 77 b c.tar\n", 2));
    auto const again = ps::shard_index::read(dir.path() + "/");
    CHECK(again.problem().empty());
    CHECK(again.size() == 2);
    CHECK(again.find("b c.tar") == ps::shard_index::entry{7, 10'240, -5, 77});
    CHECK_FALSE(again.find("b"));
    CHECK(ps::shard_index::read(dir.path("nowhere/")).size() == 0);
    CHECK(ps::shard_index::read(dir.path("nowhere/")).problem().empty());
    CHECK(ps::shard_index::split("a/b/c.tar") == std::pair<std::string, std::string>("a/b/", "c.tar"));
    CHECK(ps::shard_index::split("c.tar") == std::pair<std::string, std::string>("", "c.tar"));
}

TEST_CASE("shard_index: every cut, every flipped byte and every wrong line is a problem, never a wrong count", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const read = [&](std::string_view text) {
        dir.write(".penstock-index", text);
        return ps::shard_index::read(dir.path() + "/");
    };
    for (auto const& good : {sealed("penstock-index 3\n3 1024 5 9 a.tar\n4 1024 5 9 b.tar\n", 2), sealed("penstock-index 2\n3 1024 5 a.tar\n4 1024 5 b.tar\n", 2)}) {
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
    }
    auto const three = [](std::string const& lines, int shards) { return sealed("penstock-index 3\n" + lines, shards); };
    for (auto const& bad : {sealed("penstock-index 1\n", 0), sealed("penstock-index 4\n", 0), sealed("penstock-index 33\n", 0), three("3 1024 5 9 a.tar\n3 1024 5 9 a.tar\n", 2), three("3 1024 5 9 b.tar\n3 1024 5 9 a.tar\n", 2),
                            three("x 1024 5 9 a.tar\n", 1), three("3 1024 5 9 \n", 1), three("-3 1024 5 9 a\n", 1), three("3 1024 5 9 a\n", 2), three("", 0) + "more\n", three("3  1024 5 9 a\n", 1), three("3 1024 5 a.tar\n", 1)}) {
        INFO(bad);
        CHECK_FALSE(read(bad).problem().empty());
    }
    fs::remove(dir.path(".penstock-index"));
    fs::create_directory(dir.path(".penstock-index"));
    CHECK(has(ps::shard_index::read(dir.path() + "/").problem(), "Is a directory"));
}

TEST_CASE("shard_index: the file of older versions is read where there is no new one, and never written again", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    auto const old = sealed("penstock-index 2\n3 1024 5 a.tar\n4 1024 5 b.tar\n", 2);
    dir.write("penstock-index", old);
    auto first = ps::shard_index::read(base);
    CHECK((first.old_name() && first.size() == 2));
    first.set("c.tar", {5, 1024, 5, 9});
    first.write(base);
    CHECK(test::file_bytes(dir.path("penstock-index")) == old);
    CHECK(test::file_bytes(dir.path(".penstock-index")) == sealed("penstock-index 3\n3 1024 5 0 a.tar\n4 1024 5 0 b.tar\n5 1024 5 9 c.tar\n", 3));
    // where both are there the new one alone counts, and what it forgot does not come back
    auto second = ps::shard_index::read(base);
    CHECK_FALSE(second.old_name());
    second.forget("a.tar");
    second.write(base);
    CHECK(ps::shard_index::read(base).size() == 2);
    CHECK_FALSE(ps::shard_index::read(base).find("a.tar"));
    dir.write(".penstock-index", "penstock-index 3\ncut");
    CHECK(ps::shard_index::read(base).size() == 0);
}

TEST_CASE("shard_index: a foreign file of its name is neither read nor replaced", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    auto const program = std::string("\x7f" "ELF, the tool that is called so");
    dir.write("penstock-index", program);
    auto index = ps::shard_index::read(base);
    CHECK(index.problem().empty());
    CHECK_FALSE(index.old_name());
    index.set("a.tar", {3, 1024, 5, 9});
    index.write(base);
    CHECK(test::file_bytes(dir.path("penstock-index")) == program);
    fs::remove(dir.path("penstock-index"));
    fs::create_directory(dir.path("penstock-index"));
    CHECK(ps::shard_index::read(base).size() == 1);

    for (auto const* notes : {"my notes", "penstock", "penstock-indexes\n"}) {
        dir.write(".penstock-index", notes);
        auto other = ps::shard_index::read(base);
        bool const ours = std::string_view(notes) == "penstock";  // what a full disk left of ours
        CHECK(other.size() == 0);
        other.set("a.tar", {3, 1024, 5, 9});
        auto said = std::string{};
        try {
            other.write(base);
        } catch (ps::stage_error const& e) {
            CHECK(e.kind == ps::fault::content);
            said = e.what();
        }
        CHECK(has(said, dir.path(".penstock-index") + ": this is no index of penstock") == !ours);
        CHECK(has(said, "HINT: move the file away") == !ours);
        CHECK((test::file_bytes(dir.path(".penstock-index")) == notes) == !ours);
    }
    CHECK_FALSE(fs::exists(ps::io::atomic_file::temporary_of(dir.path(".penstock-index"))));
}

TEST_CASE("shard_index: a shard that was copied is known by its spots, one that was rewritten at the same length is not", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    for (std::size_t const size : {0u, 1u, 16'384u, 262'144u, 262'145u, 5'000'001u}) {
        INFO(size);
        auto bytes = std::string(size, 'b');
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
        auto const path = dir.write("a.tar", bytes);
        auto index = ps::shard_index{};
        auto marks = *ps::shard_index::marks_of(path);
        marks.samples = 7;
        index.set("a.tar", marks);
        CHECK(index.look(path).samples == 7u);
        CHECK_FALSE(index.look(path).moved);
        fs::last_write_time(path, fs::last_write_time(path) + std::chrono::hours(3));
        auto const moved = index.look(path);
        CHECK(moved.samples == 7u);
        REQUIRE(moved.moved);
        CHECK(moved.moved->mtime_ns == ps::shard_index::stat_of(path)->mtime_ns);
        CHECK(moved.moved->spots == marks.spots);
        if (size == 0) continue;
        for (std::size_t const at : {std::size_t{0}, size / 2, size - 1}) {
            if (size > 262'144 && at == size / 2) continue;  // between two spots
            auto changed = bytes;
            changed[at] ^= 1;
            dir.write("a.tar", changed);
            fs::last_write_time(path, fs::last_write_time(path) + std::chrono::hours(3));
            CHECK(index.look(path).reason == path + " was changed after it was indexed");
        }
        dir.write("a.tar", bytes);
    }
    auto index = ps::shard_index{};
    auto marks = *ps::shard_index::stat_of(dir.path("a.tar"));
    marks.mtime_ns += 1;
    index.set("a.tar", marks);
    CHECK(has(index.look(dir.path("a.tar")).reason, "has another time of change than when it was indexed"));  // nobody took its spots
}

TEST_CASE("shard_index: a full disk leaves the index that was there", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    auto index = ps::shard_index{};
    index.set("a.tar", {1, 1, 1, 1});
    index.write(base);
    auto const before = test::file_bytes(dir.path(".penstock-index"));
    for (int i = 0; i != 5000; ++i) index.set(ps::message("b", i), {1, 1, 1, 1});
    ::signal(SIGXFSZ, SIG_IGN);
    auto limit = ::rlimit{}, small = ::rlimit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 20'000;
    ::setrlimit(RLIMIT_FSIZE, &small);
    CHECK_THROWS_AS(index.write(base), ps::stage_error);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(test::file_bytes(dir.path(".penstock-index")) == before);
    CHECK_FALSE(fs::exists(ps::io::atomic_file::temporary_of(dir.path(".penstock-index"))));
    index.write(base);
    CHECK(ps::shard_index::read(base).size() == 5001);
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
    for (auto n : {"b", "d", "f"}) first.set(n, {1, 1, 1, 1});
    first.write(base);
    auto one = ps::shard_index::read(base), two = ps::shard_index::read(base);
    for (auto n : {"a", "d", "g"}) one.set(n, {2, 1, 1, 1});
    one.forget("f");
    one.forget("never");
    CHECK(names(one) == "a:2 b:1 d:2 g:2 ");
    CHECK(one.size() == 4);
    CHECK_FALSE(one.find("f"));
    CHECK(one.find("d")->samples == 2);
    two.set("c", {3, 1, 1, 1});
    one.write(base);
    two.write(base);
    CHECK(names(ps::shard_index::read(base)) == "a:2 b:1 c:3 d:2 g:2 ");
    {
        std::vector<std::jthread> writers;
        for (int t = 0; t != 8; ++t)
            writers.emplace_back([&base, t] {
                auto mine = ps::shard_index{};
                mine.set(ps::message("t", t), {1, 1, 1, 1});
                mine.write(base);
            });
    }
    CHECK(ps::shard_index::read(base).size() == 13);
}

TEST_CASE("shard_index: loads and finds 100,000 shards", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto text = std::string("penstock-index 3\n");
    for (int i = 0; i != 100'000; ++i) text += ps::message(1000 + i % 7, " 104857600 1700000000123456789 ", i, " part-", 100'000 + i, ".tar\n");
    dir.write(".penstock-index", sealed(text, 100'000));
    auto const index = ps::shard_index::read(dir.path() + "/");
    CHECK(index.problem().empty());
    CHECK(index.size() == 100'000);
    CHECK(index.find("part-199999.tar")->samples == 1000 + 99'999 % 7);
}
