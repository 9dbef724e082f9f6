// Implements: tests of damaged shards: rows D3 to D14, rules T4 to T6, and every flip and cut of a small shard.
#include <penstock/formats/tar_walker.hpp>
#include <penstock/formats/tar_marks.hpp>
#include <penstock/io/open_file.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using ps::damage;
using ps::detail::tar_walker;

namespace {
struct outcome {
    std::vector<std::string> samples{};
    std::optional<ps::damage> what{};
    std::string text{}, key{};
    std::uint64_t byte = 0, dropped = 0;
};

std::string shown(ps::fields const& s) {
    auto text = s.key() + ":";
    for (auto const& f : s.all()) text += " " + f.name + "=" + std::string(f.bytes.text());
    return text;
}
outcome walk(std::shared_ptr<ps::io::byte_source> source, ps::tar_options options = {}) {
    auto walker = tar_walker(std::move(source), options);
    auto result = outcome{};
    try {
        while (auto s = walker.next()) result.samples.push_back(shown(*s));
    } catch (ps::damaged_shard const& e) {
        result.what = e.damage;
        result.text = e.what();
        result.key = e.where.key;
        result.byte = *e.where.byte;
        CHECK(e.where.shard == "mem.tar");
        CHECK(result.text.find("HINT: ") != std::string::npos);
        if (!e.costs_one_sample()) CHECK_FALSE(walker.next());  // ended, and stays so
    }
    result.dropped = walker.dropped();
    return result;
}
outcome walk(std::string bytes, ps::tar_options options = {}) {
    return walk(std::make_shared<test::faulty_source>(std::move(bytes), "mem.tar"), options);
}

/// Five samples of two files: sample i takes bytes [i * 2560, (i + 1) * 2560): cls at + 0, jpg (1,000 bytes) at + 1024.
std::string five() {
    auto maker = test::tar_maker{};
    for (int i = 0; i < 5; ++i) maker.add(std::to_string(i) + ".cls", std::to_string(i)).add(std::to_string(i) + ".jpg", std::string(1000, static_cast<char>('a' + i)));
    return maker.end().bytes;
}
constexpr std::size_t third = 2 * 2560;
std::string flipped(std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
}
#define CHECK_DAMAGE(result, kind, count)           \
    do {                                            \
        auto const r_ = (result);                   \
        INFO(r_.text);                              \
        CHECK(r_.what == damage::kind);             \
        CHECK(r_.samples.size() == std::size_t{count}); \
    } while (false)
}  // namespace

TEST_CASE("damage: D3 to D6, D11: shards that are cut", "[unit][formats]") {
    auto const whole = five();
    auto const cut = [&](std::size_t at) { return walk(whole.substr(0, at)); };
    CHECK(walk(whole).samples.size() == 5);
    CHECK_FALSE(walk(whole).what);
    CHECK_DAMAGE(cut(third + 1024 + 512 + 300), truncated, 2);   // D3, inside the jpg
    CHECK_DAMAGE(cut(third + 512 + 0), truncated, 2);            // D3, inside the cls: sample 2 was confirmed by its header
    CHECK_DAMAGE(cut(third + 1024 + 512 + 1010), truncated, 2);  // D4, in the padding
    CHECK_DAMAGE(cut(third + 2560), missing_end, 2);             // D5, between two samples: the third is unconfirmed
    CHECK_DAMAGE(cut(third + 1024), missing_end, 2);             // D6, between the files of one sample
    CHECK_DAMAGE(cut(third + 1024 + 100), truncated, 2);         // D6, inside a header
    CHECK_DAMAGE(cut(5 * 2560), missing_end, 4);                 // D11, no end marker at all
    CHECK_DAMAGE(cut(5 * 2560 + 512), missing_end, 4);           // half of it
    auto const kept = walk(whole.substr(0, 5 * 2560), {.allow = {.missing_end = true}});
    CHECK_FALSE(kept.what);
    CHECK(kept.samples.size() == 5);
    auto const inside = walk(whole.substr(0, 5 * 2560 - 600), {.allow = {.missing_end = true}});
    CHECK_DAMAGE(inside, truncated, 4);

    auto const named = cut(third + 1024 + 512 + 300);
    CHECK(named.key == "2");
    CHECK(named.byte == third + 1024);
    CHECK(named.dropped == 1);
    CHECK(named.text.find("read_tar: mem.tar, sample '2', byte 6144: truncated: the file ends inside '2.jpg': 1000 bytes and padding were due, there are 300") == 0);
    CHECK(cut(third + 512).dropped == 0);
}

TEST_CASE("damage: D1 (c), D4, D5, D6, D11: the block of the whole shard saves the sample that a cut leaves whole", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const whole = five();
    auto const path = dir.write("mem.tar", whole);
    auto const marked = ps::mark_samples(ps::io::open_file(path), false);
    marked.block.write(path, *ps::shard_index::stat_of(path), marked.end);
    auto const cut = [&](std::size_t at) {
        return walk(whole.substr(0, at), {.block = [&, at] { return ps::shard_block::of_longer(path, ps::io::file_opener(), at); }});
    };
    CHECK_DAMAGE(cut(third + 1024 + 512 + 300), truncated, 2);   // D3: the block helps nothing
    CHECK_DAMAGE(cut(third + 1024 + 512 + 1010), truncated, 3);  // D4
    CHECK_DAMAGE(cut(third + 1024 + 512 + 1000), truncated, 3);  // D4, no padding at all
    CHECK_DAMAGE(cut(third + 1024 + 512 + 999), truncated, 2);
    CHECK_DAMAGE(cut(third + 2560), missing_end, 3);             // D5
    CHECK_DAMAGE(cut(third + 2560 + 100), truncated, 3);         // D6, inside the header of the next sample
    CHECK_DAMAGE(cut(third + 1024), missing_end, 2);             // D6, between the files of one sample
    CHECK_DAMAGE(cut(5 * 2560), missing_end, 5);                 // D11
    CHECK_DAMAGE(cut(5 * 2560 + 512), missing_end, 5);
    CHECK(cut(third + 2560).samples.back() == "2: cls=2 jpg=" + std::string(1000, 'c'));
    CHECK_FALSE(cut(whole.size()).what);
    // a block of another shard agrees with nothing
    auto const other = test::tar_maker{}.add("0.cls", std::string(600, '0')).add("1.cls", std::string(99'000, '1')).end().bytes;
    auto const of_other = walk(whole.substr(0, third + 2560), {.block = [&] {
                                   dir.write("mem.tar", other);
                                   auto const m = ps::mark_samples(ps::io::open_file(path), false);
                                   m.block.write(path, *ps::shard_index::stat_of(path), m.end);
                                   return ps::shard_block::of_longer(path, ps::io::file_opener(), third + 2560);
                               }});
    CHECK_DAMAGE(of_other, missing_end, 2);
}

TEST_CASE("damage: D7, bad headers", "[unit][formats]") {
    for (auto field : {0, 124, 148, 156, 257, 345}) {
        CHECK_DAMAGE(walk(flipped(five(), third + 1024 + static_cast<std::size_t>(field))), bad_header, 2);
        CHECK_DAMAGE(walk(flipped(five(), static_cast<std::size_t>(field))), bad_header, 0);  // D9, the first header
    }
    auto garbage = five();
    garbage.replace(third + 1024, 512, std::string(512, 'G'));
    auto const r = walk(garbage);
    CHECK_DAMAGE(r, bad_header, 2);
    CHECK(r.key == "2");
    CHECK(r.byte == third + 1024);
}

TEST_CASE("damage: D7b, in a pax shard", "[unit][formats]") {
    auto maker = test::tar_maker{};
    for (int i = 0; i < 5; ++i)
        for (std::string ext : {"cls", "jpg"}) maker.add("pax", test::tar_maker::pax("mtime", "123.25"), 'x').add(std::to_string(i) + "." + ext, "1");
    auto const whole = maker.end().bytes;
    CHECK(walk(whole).samples.size() == 5);
    auto const second_file = 2 * 4096 + 2048;
    CHECK_DAMAGE(walk(flipped(whole, second_file + 3)), bad_header, 2);         // the x header
    CHECK_DAMAGE(walk(flipped(whole, second_file + 1024 + 3)), bad_header, 2);  // the member's header
    CHECK_DAMAGE(walk(flipped(whole, second_file + 512)), bad_header, 2);       // LEN of the record
    CHECK_DAMAGE(walk(whole.substr(0, second_file + 1024)), truncated, 2);      // between x and its member
}

TEST_CASE("damage: D8, W8: a cut shard and the next one that starts with the same key are never merged", "[unit][formats]") {
    auto const first = walk(test::tar_maker{}.add("k.a", "1").bytes);
    auto const second = walk(test::tar_maker{}.add("k.b", "2").end().bytes);
    CHECK(first.samples.empty());
    CHECK(second.samples == std::vector<std::string>{"k: b=2"});
}

TEST_CASE("damage: D9, D12, D14: empty files, one zero block, only zero blocks", "[unit][formats]") {
    CHECK_DAMAGE(walk(std::string{}), empty, 0);
    auto middle = five();
    middle.insert(third + 2560, std::string(512, '\0'));
    CHECK_DAMAGE(walk(middle), bad_end, 2);
    middle.insert(third + 2560, std::string(512, '\0'));
    CHECK_DAMAGE(walk(middle), behind_end, 3);  // T5: two zero blocks end the archive, and behind them is more
    auto const zeros = walk(std::string(10240, '\0'));
    CHECK(zeros.samples.empty());
    CHECK_FALSE(zeros.what);
    CHECK_DAMAGE(walk(std::string(512, '\0')), missing_end, 0);
    CHECK_DAMAGE(walk(std::string(100, '\0')), truncated, 0);
    CHECK_DAMAGE(walk(std::string("<html>not found</html>")), truncated, 0);
    CHECK_DAMAGE(walk("<html>" + std::string(600, ' ')), bad_header, 0);
}

TEST_CASE("damage: T5, what lies behind the end marker and is not zero is told, after the samples before it", "[unit][formats]") {
    CHECK_FALSE(walk(five() + std::string(100'000, '\0')).what);  // any record of zeros is padding
    for (auto const* zeros : {"", "zeros"}) {
        auto const padding = std::string(*zeros == '\0' ? 0 : 70'000, '\0');
        auto const r = walk(five() + padding + std::string(700, 'G'));
        CHECK_DAMAGE(r, behind_end, 5);
        auto const at = five().size() + padding.size() / 512 * 512;
        CHECK(r.byte == at);
        CHECK(r.text.find(ps::message("not only zeros lie behind the end marker, but ", five().size() + padding.size() + 700 - at, " bytes of something else")) != r.text.npos);
        CHECK(r.text.find(".allow = {.trailing = true}") != r.text.npos);
        CHECK(r.dropped == 0);
    }
    CHECK(walk(five() + "G").text.find("but 1 byte of something else") != std::string::npos);
}

TEST_CASE("damage: joined archives are told, left alone, or read on in, as the caller says", "[unit][formats]") {
    auto const second = test::tar_maker{}.add("5.cls", "5").add("5.jpg", "j").add("6.cls", "6").end().bytes;
    auto const joined = five() + std::string(9216, '\0') + second + std::string(512, '\0');
    auto told = std::vector<std::string>{};
    auto const allow = [&](ps::tar_allow a) { return ps::tar_options{.allow = a, .told = [&](ps::left_out const& one) { told.push_back(ps::message(*one.where.byte, ": ", one.text)); }}; };
    auto const r = walk(joined);
    CHECK_DAMAGE(r, behind_end, 5);
    CHECK(r.byte == five().size() + 9216);
    CHECK(r.text.find("another archive begins behind the end marker") != r.text.npos);
    CHECK(r.text.find(".allow = {.joined = true}") != r.text.npos);
    CHECK_DAMAGE(walk(joined, allow({.links = true, .special = true, .no_field = true, .missing_end = true})), behind_end, 5);
    CHECK(told.empty());
    auto const left = walk(joined, allow({.trailing = true}));
    CHECK_FALSE(left.what);
    CHECK(left.samples.size() == 5);
    REQUIRE(told.size() == 1);
    CHECK(told[0].find(" of another archive") != told[0].npos);
    told.clear();
    auto const both = walk(joined, allow({.joined = true}));
    CHECK_FALSE(both.what);
    REQUIRE(both.samples.size() == 7);
    CHECK(both.samples[5] == "5: cls=5 jpg=j");
    CHECK(told == std::vector<std::string>{ps::message(five().size() + 9216, ": another archive begins behind the end marker")});
    CHECK_DAMAGE(walk(joined + "G", allow({.joined = true})), behind_end, 7);
    CHECK_FALSE(walk(joined + "G", allow({.joined = true, .trailing = true})).what);
    // an end marker ends a sample, and the same key behind it is another one
    CHECK_DAMAGE(walk(test::tar_maker{}.add("k.a", "1").end().add("k.b", "2").end().bytes, allow({.joined = true})), returning_key, 1);
    // what a global header says ends with its archive
    auto const named = test::tar_maker{}.add("g", test::tar_maker::pax("path", "g.x"), 'g').add("h.x", "1").end().add("i.x", "2").end().bytes;
    CHECK(walk(named, allow({.joined = true})).samples == std::vector<std::string>{"g: x=1", "i: x=2"});
}

TEST_CASE("damage: a sample whose files lie apart is told where the second part begins, in whatever order keys come", "[unit][formats]") {
    auto const apart = [](std::vector<std::string> const& names) {
        auto maker = test::tar_maker{};
        for (auto const& name : names) maker.add(name, "1");
        return walk(maker.end().bytes);
    };
    auto const r = apart({"0.a", "1.a", "0.b", "1.b"});
    CHECK_DAMAGE(r, returning_key, 2);
    CHECK(r.key == "0");
    CHECK(r.byte == 2048);
    CHECK(r.text.find("files of this sample lie apart, the first at byte 0\n") != r.text.npos);
    CHECK_DAMAGE(apart({"1.a", "0.a", "2.a", "1.b"}), returning_key, 3);
    CHECK_DAMAGE(apart({"0.a", "2.a", "1.a", "2.b"}), returning_key, 3);
    CHECK_FALSE(apart({"9.a", "10.a", "8.a", "7.a"}).what);
    auto long_name = test::tar_maker{}.add("pax", test::tar_maker::pax("path", "k.x"), 'x').add("short", "1").add("a.x", "2").add("k.y", "3").end().bytes;
    CHECK_DAMAGE(walk(long_name), returning_key, 2);
}

TEST_CASE("damage: a member that no sample can get refuses the shard and is named, or is left out as the caller says", "[unit][formats]") {
    struct row {
        char type;
        char const *name, *text, *allow;
        ps::damage what;
        ps::tar_allow with;
    };
    auto const rows = {row{'1', "1.txt", "member '1.txt' is a hard link, which holds no data", ".links", damage::unsupported, {.links = true}},
                       row{'2', "1.txt", "member '1.txt' is a symbolic link, which holds no data", ".links", damage::unsupported, {.links = true}},
                       row{'2', "2.txt", "member '2.txt' is a symbolic link", ".links", damage::unsupported, {.links = true}},
                       row{'3', "1.txt", "a character device", ".special", damage::unsupported, {.special = true}},
                       row{'4', "1.txt", "a block device", ".special", damage::unsupported, {.special = true}},
                       row{'6', "1.txt", "a FIFO", ".special", damage::unsupported, {.special = true}},
                       row{'Z', "1.txt", "of type 'Z', which is not known here", ".special", damage::unsupported, {.special = true}},
                       row{'0', "dir/readme", "member 'dir/readme' is a file without an extension", ".no_field", damage::no_field, {.no_field = true}},
                       row{'0', "", "member '' is a file without an extension", ".no_field", damage::no_field, {.no_field = true}},
                       row{'0', ".1.txt", "member '.1.txt' is a file whose name begins with a dot", ".no_field", damage::no_field, {.no_field = true}}};
    for (auto const& one : rows) {
        INFO(one.type << ' ' << one.name);
        auto const bytes = test::tar_maker{}.add("0.txt", "0").add("1.cls", "1").add(one.name, "", one.type).add("3.txt", "3").end().bytes;
        auto const r = walk(bytes);
        auto const other = std::string(one.name) == "2.txt";
        CHECK(r.what == one.what);
        CHECK(r.samples.size() == (other ? 2u : 1u));  // a member of another key tells that sample 1 is whole
        CHECK(r.dropped == (other ? 0u : 1u));
        CHECK(r.key == (other ? "2" : "1"));
        CHECK(r.byte == 2048);
        CHECK(r.text.find(one.text) != r.text.npos);
        CHECK(r.text.find(ps::message(".allow = {", one.allow, " = true}")) != r.text.npos);
        auto told = std::vector<ps::left_out>{};
        auto const left = walk(bytes, {.allow = one.with, .told = [&](ps::left_out const& l) { told.push_back(l); }});
        CHECK_FALSE(left.what);
        CHECK(left.samples == std::vector<std::string>{"0: txt=0", "1: cls=1", "3: txt=3"});
        REQUIRE(told.size() == 1);
        CHECK(told[0].where.byte == 2048);
        CHECK(told[0].where.shard == "mem.tar");
        CHECK(told[0].text.find(one.text) != std::string::npos);
    }
    auto const with_data = test::tar_maker{}.add("0.txt", "0").add("dump", "0.txt", 'D').add("label", "", 'V').add("dir/", "", '0').add("1.txt", "1").end().bytes;
    CHECK(walk(with_data).samples == std::vector<std::string>{"0: txt=0", "1: txt=1"});  // directories, GNU tar's lists and labels hold no file
}

TEST_CASE("damage: T4, extension headers that make no sense", "[unit][formats]") {
    auto const maker = [] { return test::tar_maker{}.add("a.x", "1"); };
    auto const pax = test::tar_maker::pax;
    auto const L = std::string("l.x\0", 4);
    auto const refused = [&](test::tar_maker m, std::string_view part) {
        auto const r = walk(m.add("z.x", "1").end().bytes);
        CHECK_DAMAGE(r, bad_header, 0);
        CHECK(r.text.find(part) != std::string::npos);
    };
    refused(maker().add("L", L, 'L').add("L", L, 'L'), "two GNU long names");
    refused(maker().add("K", L, 'K').add("K", L, 'K'), "two GNU long names");
    refused(maker().add("L", "", 'L'), "an empty GNU long name");
    refused(maker().add("x", std::string((1 << 20) + 1, 'x'), 'x'), "at most 1 MiB");
    for (auto record : {"11 path=x\n", "8 path=x\n", "99 path=x\n", "path=x\n", "9 pathxxx\n", "5 =x\n", "-9 path=x\n", "9  path=x\n", "3 \n", "99999999999999999999 a=b\n"}) {
        INFO(record);
        refused(maker().add("x", record, 'x'), "a pax record");
    }
    for (auto size : {"-1", "1x", "9223372036854775808", " 1"}) refused(maker().add("x", pax("size", size), 'x'), "a pax size that is no number");
    refused(maker().add("x", pax("path", std::string_view("a\0b.x", 5)), 'x'), "contains NUL");
    auto chain = maker();
    for (int i = 0; i < 9; ++i) chain.add("x", pax("mtime", "1"), 'x');
    refused(chain, "more than 8 extension headers");
    CHECK_DAMAGE(walk(maker().add("x", pax("mtime", "1"), 'x').end().bytes), bad_header, 0);  // followed by no member
    auto cut = maker().add("x", pax("comment", std::string(2000, 'c')), 'x').bytes;
    CHECK_DAMAGE(walk(cut.substr(0, 2048)), truncated, 0);
}

TEST_CASE("damage: sparse files, other volumes and links with data refuse the shard and name the member", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    test::shell("cd " + dir.path() + " && truncate -s 1M b.bin && printf x >> b.bin && printf 1 > a.cls");
    for (auto kind : {"--format=gnu --sparse", "--format=posix --sparse --sparse-version=0.0", "--format=posix --sparse --sparse-version=0.1", "--format=posix --sparse --sparse-version=1.0"}) {
        INFO(kind);
        test::shell("cd " + dir.path() + " && tar -cf s.tar " + kind + " a.cls b.bin");
        auto const r = walk(test::file_bytes(dir.path("s.tar")));
        CHECK_DAMAGE(r, unsupported, 0);
        CHECK(r.text.find("sparse file") != std::string::npos);
        CHECK(r.text.find("member 'b.bin' is ") != std::string::npos);
    }
    CHECK_DAMAGE(walk(test::tar_maker{}.add("a.x", "1", 'M').end().bytes), unsupported, 0);
    auto const link = walk(test::tar_maker{}.add("a.x", "1", '1').end().bytes);
    CHECK_DAMAGE(link, unsupported, 0);
    CHECK(link.text.find("member 'a.x' is a hard link with data") != std::string::npos);
}

TEST_CASE("damage: T6, a compressed shard is refused with the way out", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("s.tar", five());
    for (auto [tool, name] : {std::pair{"gzip", "gzip"}, {"bzip2", "bzip2"}, {"xz", "xz"}}) {
        test::shell(std::string(tool) + " -kc " + path + " > " + dir.path("out"));
        auto const r = walk(test::file_bytes(dir.path("out")));
        CHECK_DAMAGE(r, compressed, 0);
        CHECK(r.text.find(std::string("compressed with ") + name) != std::string::npos);
    }
    CHECK_DAMAGE(walk(std::string("\x28\xb5\x2f\xfd", 4) + std::string(600, 'z')), compressed, 0);
    for (char const kind : {'\x50', '\x5f'}) CHECK_DAMAGE(walk(kind + std::string("\x2a\x4d\x18", 3) + std::string(600, 'z')), compressed, 0);  // a frame to skip comes first
}

TEST_CASE("damage: a flip in every byte and every cut of a small shard give whole samples or an error", "[unit][formats]") {
    auto const record = test::tar_maker::pax("path", "b.x");
    auto const whole = test::tar_maker{}.add("a.x", "A").add("a.y", "AA").add("pax", record, 'x').add("q", "B").add("l", std::string("b.y\0", 4), 'L').add("r", "BB").add("c.x", "C").end().bytes;
    auto const truth = walk(whole).samples;
    REQUIRE(truth == std::vector<std::string>{"a: x=A y=AA", "b: x=B y=BB", "c: x=C"});

    for (std::size_t length = 0; length < whole.size(); length += 13) {
        auto const r = walk(whole.substr(0, length));
        REQUIRE(r.what);
        REQUIRE(r.samples.size() < 3);
        REQUIRE(std::equal(r.samples.begin(), r.samples.end(), truth.begin()));
    }
    for (std::size_t at = 0; at < whole.size(); ++at) {
        auto bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at * 5 + at / 512) % 8));
        auto const r = walk(bytes);
        if (r.what) {  // what was given before the error is as it was, but for bytes that nothing protects
            REQUIRE(r.samples.size() < 3);
            if (whole[at / 512 * 512 + 257] == 'u') REQUIRE(std::equal(r.samples.begin(), r.samples.end(), truth.begin()));
        } else {  // data, padding, filler of the checksum, or a name in an extension's payload, which no checksum covers
            std::size_t files = 0;
            for (auto const& s : r.samples) files += static_cast<std::size_t>(std::count(s.begin(), s.end(), '='));
            auto const in_name = (at >= 2560 && at < 3072) || (at >= 4608 && at < 5120);
            REQUIRE(files >= (in_name ? 4u : 5u));
        }
    }
}

TEST_CASE("damage: a shard that is truncated while it is read", "[unit][formats]") {
    auto const way = GENERATE(ps::io::file_access::pread, ps::io::file_access::mmap);
    auto const dir = test::temp_dir{};
    auto maker = test::tar_maker{};
    for (int i = 0; i < 400; ++i) maker.add(std::to_string(i) + ".cls", "7").add(std::to_string(i) + ".bin", std::string(9000, 'b'));
    auto const path = dir.write("s.tar", maker.end().bytes);
    for (std::size_t left : {std::size_t{0}, std::size_t{1'000'000}, std::size_t{1'000'448}, std::size_t{2'048'000}}) {
        dir.write("s.tar", maker.bytes);
        auto walker = tar_walker(ps::io::open_file(path, {.access = way}));
        auto text = std::string{};
        int n = 0;
        try {
            for (; auto s = walker.next(); ++n) {
                REQUIRE(s->text("cls").size() == 1);
                REQUIRE(s->bytes("bin").size() == 9000);
                if (n == 10) std::filesystem::resize_file(path, left);
                if (n <= 10) REQUIRE(s->text("bin") == (n < 10 || way == ps::io::file_access::pread ? std::string(9000, 'b') : s->text("bin")));
            }
        } catch (ps::stage_error const& e) {
            CHECK(e.kind == ps::fault::io);
            text = e.what();
        }
        CHECK(n < 400);
        CHECK(text.find("shortened while it was read: " + std::to_string(maker.bytes.size()) + " bytes when opened, " + std::to_string(left) + " now") != std::string::npos);
    }
}
