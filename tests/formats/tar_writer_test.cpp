// Implements: tests of tar_writer: W17 to W20, what Python and GNU tar make of it, and reading it back.
#include <penstock/formats/tar_writer.hpp>
#include <penstock/formats/tar_walker.hpp>
#include <penstock/io/open_file.hpp>

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <filesystem>
#include <map>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
using content = std::map<std::string, std::string>;
ps::fields files(content const& all) {
    auto f = ps::fields{};
    for (auto i = all.rbegin(); i != all.rend(); ++i) f.add(i->first, ps::blob::of(i->second));  // against the order they are written in
    return f;
}
std::string refused(std::string const& key, ps::fields const& f) {
    auto const dir = test::temp_dir{};
    auto writer = ps::tar_writer(dir.path("s.tar"));
    writer.add("good", files({{"x", "1"}}));
    try {
        writer.add(key, f);
    } catch (ps::stage_error const& e) {
        CHECK(e.where.key == key.substr(0, key.find('\0')));
        CHECK(e.where.shard == dir.path("s.tar"));
        CHECK(std::string(e.what()).find("HINT: ") != std::string::npos);
        writer.add("after", files({{"x", "1"}}));  // the shard is as it was
        CHECK(writer.finish().samples == 2);
        return e.what();
    }
    return "not refused";
}
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("tar_writer: W19, ustar, ordered, padded, the same bytes for the same samples", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto shards = std::vector<std::string>{};
    for (int i = 0; i < 2; ++i) {
        auto writer = ps::tar_writer(dir.path(std::to_string(i)));
        writer.add("a/000", files({{"cls", "7"}, {"png", std::string(512, 'p')}, {"seg.png", ""}}));
        writer.add("a/001", files({{"cls", "8"}}));
        CHECK_FALSE(std::filesystem::exists(dir.path(std::to_string(i))));
        auto const done = writer.finish();
        CHECK(done.samples == 2);
        CHECK(done.bytes == std::filesystem::file_size(done.path));
        shards.push_back(test::file_bytes(done.path));
    }
    CHECK(shards[0] == shards[1]);
    auto const& s = shards[0];
    CHECK(s.size() % 10'240 == 0);
    CHECK(s.substr(0, 10) == std::string("a/000.cls\0", 10));
    CHECK(s.substr(1024, 9) == "a/000.png");
    CHECK(s.substr(2048, 13) == "a/000.seg.png");
    CHECK(s.substr(100, 8) == std::string("0000444\0", 8));
    CHECK(s.substr(136, 12) == std::string("00000000000\0", 12));
    CHECK(s.substr(257, 8) == std::string("ustar\00000", 8));
    CHECK(s[156] == '0');
}

TEST_CASE("tar_writer: Python's tarfile and GNU tar read every name and size as it was written", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto expected = std::string{};
    auto writer = ps::tar_writer(dir.path("s.tar"), 77);
    auto keys = std::vector<std::string>{"k", std::string(96, 'n'), std::string(97, 'n'), std::string(155, 'p') + "/" + std::string(96, 'n'), std::string(156, 'p') + "/n",
                                         std::string(60, 'd') + "/" + std::string(60, 'e') + "/" + std::string(60, 'f'), std::string(240, 'L'), "\xc3\xa4/\xc3\xb6", std::string(40, 'q') + "/" + std::string(120, 'r')};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto const data = std::string(i * 300, static_cast<char>('a' + i));
        writer.add(keys[i], files({{"bin", data}}));
        expected += keys[i] + ".bin " + std::to_string(data.size()) + " 77\n";
    }
    auto const path = writer.finish().path;
    test::shell("python3 -c \"import tarfile,sys; [sys.stdout.buffer.write(('%s %d %d\\n' % (m.name, m.size, m.mtime)).encode()) for m in tarfile.open(sys.argv[1])]\" " + path + " > " + dir.path("python"));
    CHECK(test::file_bytes(dir.path("python")) == expected);
    test::shell("mkdir " + dir.path("x") + " && tar -xf " + path + " -C " + dir.path("x"));
    auto walker = ps::detail::tar_walker(ps::io::open_file(path));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto const one = walker.next();
        REQUIRE(one);
        CHECK(one->key() == keys[i]);
        CHECK(one->bytes("bin").size() == i * 300);
        CHECK(test::file_bytes(dir.path("x") + "/" + keys[i] + ".bin") == one->bytes("bin").text());
    }
    CHECK_FALSE(walker.next());
}

TEST_CASE("tar_writer: only names that do not fit get a pax header", "[unit][formats]") {
    using ps::detail::tar_member_header;
    CHECK(tar_member_header(std::string(100, 'n'), 1, 0).size() == 512);
    CHECK(tar_member_header(std::string(101, 'n'), 1, 0).size() == 3 * 512);
    CHECK(tar_member_header(std::string(155, 'p') + "/" + std::string(100, 'n'), 1, 0).size() == 512);
    CHECK(tar_member_header(std::string(156, 'p') + "/" + std::string(100, 'n'), 1, 0).size() == 3 * 512);
    CHECK(tar_member_header("/" + std::string(100, 'n'), 1, 0).size() == 3 * 512);  // an empty prefix would lose the slash
    CHECK(tar_member_header("n", (std::uint64_t{1} << 33) - 1, 0).size() == 512);
    auto const large = tar_member_header("n", std::uint64_t{1} << 33, 0);
    CHECK(large.size() == 3 * 512);
    CHECK(large.substr(512, 19) == "19 size=8589934592\n");
}

TEST_CASE("tar_writer: W20, what a reader would misread is refused", "[unit][formats]") {
    auto const x = files({{"x", "1"}});
    CHECK(has(refused("a.b", x), "must not contain '.'"));
    CHECK(refused("d.1/ok", x) == "not refused");
    CHECK(has(refused("d/", x), "must not be empty"));
    CHECK(has(refused("", x), "must not be empty"));
    CHECK(has(refused(".hidden", x), "must not contain '.'"));
    CHECK(has(refused(std::string("a\0b", 3), x), "NUL"));
    CHECK(has(refused("good", x), "used before in this shard"));
    CHECK(has(refused("k", files({})), "at least one field"));
    CHECK(has(refused("k", files({{"", "1"}})), "must not be empty"));
    CHECK(has(refused("k", files({{"PNG", "1"}})), "lower case"));
    CHECK(has(refused("k", files({{".txt", "1"}})), "field '.txt' must not begin with a dot\n  HINT: the dot before it is written for you: write add(\"txt\", bytes)"));
    CHECK(has(refused("k", files({{"..seg.png", "1"}})), "write add(\"seg.png\", bytes)"));
    CHECK(has(refused("k", files({{".", "1"}})), "field '.' must not begin with a dot"));
    CHECK(refused("dotted", files({{"seg.png", "1"}})) == "not refused");
    CHECK(has(refused("k", files({{"_x", "1"}})), "must not start with '_'"));
    CHECK(has(refused("k", files({{"a/b", "1"}})), "must not contain '/'"));
    CHECK(has(refused("__meta__/k", x), "readers skip"));
    auto twice = files({{"x", "1"}});
    twice.add("x", ps::blob::of("2"));
    CHECK(has(refused("k", twice), "extension 'x' is there twice"));
}

TEST_CASE("tar_writer: W18, a writer closed without samples leaves a valid empty shard", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const done = ps::tar_writer(dir.path("s.tar")).finish();
    CHECK(done.samples == 0);
    CHECK(done.bytes == 10'240);
    auto walker = ps::detail::tar_walker(ps::io::open_file(done.path));
    CHECK_FALSE(walker.next());
}
