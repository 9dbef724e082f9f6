// Implements: tests of tar_walker over whole shards: dialects (T3), grouping (W5 to W12), skipping, retries.
#include <penstock/formats/tar_walker.hpp>
#include <penstock/formats/tar_writer.hpp>
#include <penstock/io/open_file.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using ps::detail::tar_walker;

namespace {
std::shared_ptr<test::faulty_source> memory(std::string bytes) { return std::make_shared<test::faulty_source>(std::move(bytes), "mem.tar"); }
std::string shown(ps::fields const& s) {
    auto text = s.key() + ":";
    for (auto const& f : s.all()) text += " " + f.name + "=" + std::string(f.bytes.text());
    return text;
}
std::vector<std::string> all_of(tar_walker walker) {
    auto result = std::vector<std::string>{};
    while (auto s = walker.next()) result.push_back(shown(*s));
    return result;
}
using list = std::vector<std::string>;
}  // namespace

TEST_CASE("tar_walker: pax, GNU, ustar and V7 archives of Python and GNU tar give the same samples", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    test::shell("python3 " PENSTOCK_TEST_SOURCE_DIR "/formats/make_tars.py " + dir.path() + " > " + dir.path("long"));
    auto longest = test::file_bytes(dir.path("long"));
    longest.pop_back();
    auto png = std::string("\x89PNG");
    for (int i = 0; i < 1280; ++i) png += static_cast<char>(i);
    auto const expected = list{"000: cls=7 png=" + png, longest + ": cls=12 png=" + std::string(512, 'p'), "k/\u00e4\u00f6: png= txt=\u00fc"};
    for (auto name : {"pax", "gnu", "global"}) {
        INFO(name);
        CHECK(all_of(tar_walker(ps::io::open_file(dir.path(std::string(name) + ".tar")))) == expected);
        CHECK(all_of(tar_walker(ps::io::open_file(dir.path(std::string(name) + ".tar"), {.access = ps::io::file_access::mmap}))) == expected);
    }
    test::shell("cd " + dir.path() + " && mkdir x && tar xf pax.tar -C x 2>/dev/null");
    for (std::string name : {"gnu", "oldgnu", "posix", "ustar", "v7"}) {
        INFO(name);
        auto const limited = name == "ustar" || name == "v7";  // the long name does not fit there
        auto const names = limited ? std::string("000.cls 000.png k/*") : "000.cls 000.png " + longest + ".cls " + longest + ".png k/*";
        test::shell("cd " + dir.path("x") + " && LC_ALL=C.UTF-8 tar --format=" + name + " -cf ../out.tar " + names);
        auto const samples = all_of(tar_walker(ps::io::open_file(dir.path("out.tar"))));
        CHECK(samples == (limited ? list{expected[0], expected[2]} : expected));
    }
}

TEST_CASE("tar_walker: W5, what is no field is counted by its kind, by rule or because it is allowed", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    test::shell("python3 " PENSTOCK_TEST_SOURCE_DIR "/formats/make_tars.py " + dir.path() + " > " + dir.path("long"));
    auto told = std::vector<ps::left_out::kind>{};
    auto walker = tar_walker(ps::io::open_file(dir.path("kinds.tar")), {.allow = {.links = true, .special = true, .no_field = true}, .told = [&](ps::left_out const& one) { told.push_back(one.what); }});
    CHECK(shown(*walker.next()) == "a: cls=1 txt=t");  // W7: the skipped members between do not end the sample
    CHECK(shown(*walker.next()) == "b: cls=2");
    CHECK_FALSE(walker.next());
    CHECK(walker.skipped().directories == 1);
    CHECK(walker.skipped().meta == 1);
    CHECK(walker.skipped().companions == 1);
    using kind = ps::left_out::kind;
    CHECK(told == std::vector<kind>{kind::link, kind::link, kind::special, kind::no_field, kind::no_field});
}

TEST_CASE("tar_walker: the published WebDataset shard", "[unit][formats]") {
    auto walker = tar_walker(ps::io::open_file(PENSTOCK_TEST_SOURCE_DIR "/data/webdataset/mpdata.tar"));
    int n = 0;
    while (auto s = walker.next()) {
        char key[8];
        std::snprintf(key, sizeof key, "%06d", n++);
        CHECK(s->key() == key);
        CHECK(s->bytes("mp").size() > 0);
    }
    CHECK(n == 100);
}

TEST_CASE("tar_walker: W12, a sample knows its shard, key, place", "[unit][formats]") {
    auto walker = tar_walker(memory(test::tar_maker{}.add("a.x", "1").add("b.x", "2").add("b.y", "3").end().bytes));
    CHECK(walker.index() == 0);
    auto const a = walker.next();
    CHECK(walker.index() == 1);
    auto const b = walker.next();
    CHECK(b->where().shard == "mem.tar");
    CHECK(b->where().key == "b");
    CHECK(b->byte() == 1024);
    CHECK(a->from() == b->from());
    CHECK(walker.first_byte() == 1024);
    CHECK_FALSE(walker.next());
    CHECK_FALSE(walker.next());
    CHECK(walker.index() == 2);
}

TEST_CASE("tar_walker: extension headers count into the sample's first byte", "[unit][formats]") {
    auto const record = test::tar_maker::pax("path", "b.x");
    auto walker = tar_walker(memory(test::tar_maker{}.add("a.x", "1").add("whatever", record, 'x').add("short", "2").end().bytes));
    (void)walker.next();
    auto const b = walker.next();
    CHECK(shown(*b) == "b: x=2");
    CHECK(b->byte() == 1024);
}

TEST_CASE("tar_walker: discard and skip count like next and read no payload", "[unit][formats]") {
    auto maker = test::tar_maker{};
    for (int i = 0; i < 50; ++i) maker.add(std::to_string(i) + ".cls", std::to_string(i)).add(std::to_string(i) + ".bin", std::string(5000, 'b'));
    auto const source = memory(maker.end().bytes);
    auto walker = tar_walker(source);
    CHECK(walker.skip(17) == 17);
    CHECK(source->bytes_read <= 36 * 512);
    CHECK(walker.next()->key() == "17");
    CHECK(walker.discard());
    CHECK(walker.index() == 19);
    CHECK(walker.next()->text("cls") == "19");
    CHECK(walker.skip(100) == 30);
    CHECK(walker.index() == 50);
    CHECK_FALSE(walker.discard());
}

TEST_CASE("tar_walker: pax overrides: x beats g beats L beats the header; the last duplicate wins; empty deletes", "[unit][formats]") {
    auto const pax = test::tar_maker::pax;
    auto const one = [](test::tar_maker m) { return all_of(tar_walker(memory(m.end().bytes))); };
    auto const L = std::string("l.x\0", 4);
    CHECK(one(test::tar_maker{}.add("././@LongLink", L, 'L').add("h.x", "1")) == list{"l: x=1"});
    CHECK(one(test::tar_maker{}.add("g", pax("path", "g.x"), 'g').add("././@LongLink", L, 'L').add("h.x", "1")) == list{"g: x=1"});
    CHECK(one(test::tar_maker{}.add("g", pax("path", "g.x"), 'g').add("x", pax("path", "p.x") + pax("path", "q.x"), 'x').add("h.x", "1")) == list{"q: x=1"});
    CHECK(one(test::tar_maker{}.add("g", pax("path", "g.x"), 'g').add("x", pax("path", ""), 'x').add("h.x", "1").add("h.x", "2")) == list{"h: x=1", "g: x=2"});
    CHECK(one(test::tar_maker{}.add("x", pax("path", "s.x"), 'X').add("h.x", "1")) == list{"s: x=1"});
    CHECK(one(test::tar_maker{}.add("k", L, 'K').add("l", L, 'L').add("h.x", "1")) == list{"l: x=1"});
    // size decides how many blocks follow: the header says 0 as it does for members of 8 GiB and more
    auto m = test::tar_maker{}.add("x", pax("size", "600"), 'x');
    m.bytes += test::tar_maker::header("a.x", 0);
    CHECK(one(m.pad(std::string(600, 'z')).add("b.x", "2")) == list{"a: x=" + std::string(600, 'z'), "b: x=2"});
}

TEST_CASE("tar_walker: T3, members of 8 GiB and more: base-256 of GNU tar, a pax size as we write it", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.path("large.tar");
    constexpr auto size = (std::uint64_t{1} << 33) + 5;
    auto gnu = test::tar_maker::header("a.bin", 0, '0', std::string_view("ustar  \0", 8));
    for (std::size_t i = 0; i != 12; ++i) gnu[124 + i] = static_cast<char>(i == 0 ? 0x80 : i >= 4 ? size >> (8 * (11 - i)) & 0xff : 0);
    test::tar_maker::sum(gnu);
    for (auto const& header : {gnu, ps::detail::tar_member_header("a.bin", size, 0)}) {
        std::filesystem::remove(path);
        auto out = std::ofstream(path, std::ios::binary);  // a hole where the 8 GiB are
        out << header;
        out.seekp(static_cast<std::streamoff>(header.size() + ps::detail::tar_padded(size)));
        out << test::tar_maker{}.add("a.cls", "7").add("b.cls", "8").end().bytes;
        out.close();
        auto walker = tar_walker(ps::io::open_file(path));
        REQUIRE(walker.discard());
        REQUIRE(walker.last_members().size() == 2);
        CHECK(walker.last_members()[0].size == size);
        CHECK(walker.last_members()[0].data == header.size());
        CHECK(shown(*walker.next()) == "b: cls=8");
        CHECK_FALSE(walker.next());
        std::filesystem::resize_file(path, header.size() + size - 1);
        auto cut = tar_walker(ps::io::open_file(path));
        CHECK_THROWS_AS(cut.discard(), ps::damaged_shard);
    }
}

TEST_CASE("tar_walker: W9, W11, a faulty sample costs itself only", "[unit][formats]") {
    auto const source = memory(test::tar_maker{}.add("a.jpg", "1").add("b.JPG", "2").add("b.jpg", "3").add("c.__key__", "4").add("c.cls", "5").add("d.cls", "6").end().bytes);
    auto walker = tar_walker(source);
    auto const fault_of = [&] {
        try {
            (void)walker.next();
        } catch (ps::damaged_shard const& e) {
            CHECK(e.kind == ps::fault::content);
            CHECK(e.costs_one_sample());
            return std::string(e.what());
        }
        return std::string("no error");
    };
    CHECK(walker.next()->key() == "a");
    auto const duplicate = fault_of();
    CHECK(duplicate.find("read_tar: mem.tar, sample 'b', byte 2048: duplicate_field: field 'jpg' is there twice; the second is member 'b.jpg'") == 0);
    CHECK(duplicate.find("HINT") != std::string::npos);
    CHECK(fault_of().find("sample 'c', byte 3072: reserved_field: member 'c.__key__'") != std::string::npos);
    CHECK(walker.index() == 3);
    CHECK(walker.next()->key() == "d");
    CHECK_FALSE(walker.next());
    auto again = tar_walker(source);
    CHECK(again.skip(10) == 4);  // the same places are counted
}

TEST_CASE("tar_walker: the count of an index is checked", "[unit][formats]") {
    auto const bytes = test::tar_maker{}.add("a.x", "1").add("b.x", "2").end().bytes;
    auto const last_error = [&](std::uint64_t expected) {
        auto walker = tar_walker(memory(bytes), {.expected_samples = expected});
        try {
            while (walker.next()) {}
        } catch (ps::damaged_shard const& e) {
            CHECK(e.damage == ps::damage::index_mismatch);
            CHECK_FALSE(walker.next());
            return std::string(e.what());
        }
        return std::string("none");
    };
    CHECK(last_error(2) == "none");
    CHECK(last_error(1).find("the index says 1 sample, and here is one more") != std::string::npos);
    CHECK(last_error(3).find("the index says 3 samples, the shard ends after 2") != std::string::npos);
}

TEST_CASE("tar_walker: an I/O error changes nothing, the call may be repeated", "[unit][formats]") {
    auto maker = test::tar_maker{};
    for (int i = 0; i < 5; ++i) maker.add(std::to_string(i) + ".a", "A" + std::to_string(i)).add("x", test::tar_maker::pax("path", std::to_string(i) + ".b"), 'x').add("y", "B");
    auto const bytes = maker.add(".hidden", "h").end().add("z.a", "Z").end().bytes;
    int left = 0;
    auto const options = ps::tar_options{.allow = {.no_field = true, .joined = true}, .told = [&](ps::left_out const&) { ++left; }};
    auto const expected = all_of(tar_walker(memory(bytes), options));
    REQUIRE(expected.size() == 6);
    REQUIRE(std::exchange(left, 0) == 2);
    auto const source = memory(bytes);
    source->fails = [](std::uint64_t read) { return read % 5 == 0; };
    auto walker = tar_walker(source, options);
    auto found = list{};
    int errors = 0;
    while (true) {
        try {
            auto s = walker.next();
            if (!s) break;
            found.push_back(shown(*s));
        } catch (ps::stage_error const& e) {
            CHECK(e.kind == ps::fault::io);
            REQUIRE(++errors < 1000);
        }
    }
    CHECK(found == expected);
    CHECK(errors >= 10);
    CHECK(left == 2);
}
