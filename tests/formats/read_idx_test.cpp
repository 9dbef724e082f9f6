// Implements: tests of read_idx and gunzip: rule I1 with every refusal, resume at every item, Debian's Fashion-MNIST where it is installed.
#include <penstock/formats/read_idx.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/count.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <filesystem>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string idx(char type, std::vector<std::uint32_t> const& dimensions, std::string const& data) {
    auto text = std::string("\0\0", 2) + type + static_cast<char>(dimensions.size());
    for (auto d : dimensions)
        for (int shift : {24, 16, 8, 0}) text += static_cast<char>(d >> shift);
    return text + data;
}
std::string images(std::uint32_t n) {
    auto data = std::string{};
    for (std::uint32_t i = 0; i < n * 6; ++i) data += static_cast<char>(i);
    return idx(8, {n, 2, 3}, data);
}
std::string labels(std::uint32_t n) {
    auto data = std::string{};
    for (std::uint32_t i = 0; i < n; ++i) data += static_cast<char>(200 + i);
    return idx(8, {n}, data);
}
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::error const& e) {
        return e.what();
    }
    return "no error";
}
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("read_idx: split_by_rank deals its items, which keep their keys, and another world finishes the epoch", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const a = dir.write("images", images(7)), b = dir.write("labels", labels(7));
    auto part = [&](ps::world w) { return ps::read_idx(a, b) | ps::split_by_rank(w); };
    ps::ledger used;
    std::vector<std::string> keys;
    for (std::uint32_t rank : {0u, 1u, 2u}) {
        auto p = part({rank, 3});
        CHECK(p.world_max() == 3u);
        p.reset(1, 2);
        auto const item = p.next();
        REQUIRE(item);
        CHECK(item->pass == 2);
        used.commit(*item);
        keys.push_back(item->key);
    }
    auto rest = part({});
    rest.reset(ps::epoch::of(1, 2), used);
    while (auto item = rest.next()) keys.push_back(item->key);
    CHECK(keys == std::vector<std::string>{"000000", "000001", "000002", "000003", "000004", "000005", "000006"});
}

TEST_CASE("read_idx: plain and gzip give the same items", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const a = dir.write("images", images(5)), b = dir.write("labels", labels(5));
    test::shell("gzip -k " + a + " " + b);
    for (std::string end : {"", ".gz"}) {
        auto const all = ps::read_idx(a + end, b + end) | ps::collect();
        REQUIRE(all.size() == 5);
        CHECK(all[4].key == "000004");
        CHECK(all[4].id == 4);
        CHECK(all[4].value.label == 204);
        CHECK(all[4].value.rows == 2);
        CHECK(all[4].value.columns == 3);
        CHECK(all[4].value.image.text() == "\x18\x19\x1a\x1b\x1c\x1d");
        CHECK(all[1].cover.count() == 1);
    }
    CHECK((ps::read_idx(dir.write("none", images(0)), dir.write("none.labels", labels(0))) | ps::count()) == 0);
}

TEST_CASE("read_idx: the example", "[unit][formats]") {
    using ps::count, ps::read_idx;
    auto const dir = test::temp_dir{};
    dir.write("images-idx3-ubyte", images(5));
    dir.write("labels-idx1-ubyte", labels(5));
    auto const before = std::filesystem::current_path();
    std::filesystem::current_path(dir.path());
    auto const n =
    // example-begin read_idx
    read_idx("images-idx3-ubyte", "labels-idx1-ubyte") | count()    // 5, as many as both files hold
    // example-end
    ;
    CHECK(n == 5);
    std::filesystem::current_path(before);
}

TEST_CASE("read_idx: resumes at every item, over epochs, and refuses other files", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const a = dir.write("images", images(5)), b = dir.write("labels", labels(5));
    for (int k = 0; k <= 6; ++k) {
        auto p = ps::read_idx(a, b);
        p.reset(3, 2);
        for (int i = 0; i < k; ++i) (void)p.next();
        CHECK(p.hint() == ps::size_hint{static_cast<std::uint64_t>(5 - std::min(k, 5)), static_cast<std::uint64_t>(5 - std::min(k, 5))});
        auto q = ps::read_idx(a, b);
        q.load(p.save());
        for (int i = std::min(k, 5); i < 5; ++i) {
            auto const item = q.next();
            REQUIRE(item);
            CHECK(item->id == static_cast<std::uint64_t>(i));
            CHECK(item->pass == 2);
        }
        CHECK_FALSE(q.next());
        CHECK_FALSE(q.next());
        q.reset(3, 3);
        CHECK(q.next()->id == 0);
    }
    auto p = ps::read_idx(a, b);
    auto q = ps::read_idx(dir.write("i4", images(4)), dir.write("l4", labels(4)));
    CHECK(has(error_of([&] { q.load(p.save()); }), "saved at 0 of 5, these files have 4"));
}

TEST_CASE("read_idx: I1, every damage and mismatch is refused by name", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const b = dir.write("labels", labels(5));
    auto const refused = [&](std::string const& bytes) { return error_of([&] { (void)ps::read_idx(dir.write("images", bytes), b); }); };
    CHECK(has(refused(""), "the file has 0 bytes"));
    CHECK(has(refused("\0\0\x08"), "its header alone needs 4"));
    CHECK(has(refused("abcd1234"), "the first two bytes are not zero"));
    CHECK(has(refused(idx(7, {1}, "x")), "type 7 is none of"));
    CHECK(has(refused(idx(8, {}, "")), "0 dimensions"));
    CHECK(has(refused(images(5).substr(0, 9)), "ends inside its 3 dimensions"));
    CHECK(has(refused(images(5).substr(0, 45)), "ask for 30 bytes of data, the file has 29"));
    CHECK(has(refused(images(5) + "x"), "ask for 30 bytes of data, the file has 31"));
    CHECK(has(refused(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, "")), "multiply to more than 2^64"));
    CHECK(has(refused(idx(9, {5, 2, 3}, images(5).substr(16))), "images must be bytes of 3 dimensions"));
    CHECK(has(refused(labels(5)), "images must be bytes of 3 dimensions (00000803), these have type 8 and 1"));
    CHECK(has(refused(images(4)), "has 5 labels, but " + dir.path("images") + " has 4 images"));
    auto const a = dir.write("images", images(5));
    CHECK(has(error_of([&] { (void)ps::read_idx(a, a); }), "labels must be bytes of 1 dimension"));
    CHECK(has(error_of([&] { (void)ps::read_idx(a, dir.path("no")); }), "No such file"));
    CHECK(has(error_of([&] { (void)ps::read_idx(dir.path(), b); }), "Is a directory"));
    CHECK(ps::idx_array::read(dir.write("wide", idx(0x0e, {2, 1}, std::string(16, 'd')))).data.size() == 16);
}

TEST_CASE("gunzip: several members, every cut, every flip of the trailer, a limit", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto text = std::string{};
    for (int i = 0; i < 30'000; ++i) text += std::to_string(i);
    dir.write("a", text);
    test::shell("gzip -kn " + dir.path("a") + " && cat " + dir.path("a.gz") + " " + dir.path("a.gz") + " > " + dir.path("aa.gz"));
    auto const unpack = [](std::string bytes, std::uint64_t limit = 1 << 30) {
        auto source = test::faulty_source(std::move(bytes), "mem.gz");
        return std::string(ps::gunzip(source, limit).text());
    };
    auto const one = test::file_bytes(dir.path("a.gz"));
    CHECK(unpack(one) == text);
    CHECK(unpack(test::file_bytes(dir.path("aa.gz"))) == text + text);
    for (std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{9}, one.size() / 2, one.size() - 8, one.size() - 1}) CHECK(has(error_of([&] { unpack(one.substr(0, n)); }), "mem.gz, byte " + std::to_string(n) + ": truncated"));
    for (std::size_t i = one.size() - 8; i < one.size(); ++i) {
        auto bad = one;
        bad[i] = static_cast<char>(bad[i] ^ 4);
        CHECK(has(error_of([&] { unpack(bad); }), "damaged gzip data"));
    }
    CHECK(has(error_of([&] { unpack(one + "garbage"); }), "damaged gzip data"));
    CHECK(unpack(one, text.size()) == text);
    CHECK(has(error_of([&] { unpack(one, text.size() - 1); }), "unpacks to more than"));
    CHECK(has(error_of([&] { unpack(one, 10); }), "unpacks to more than 10 bytes"));
}

TEST_CASE("read_idx: Debian's Fashion-MNIST, where it is installed", "[unit][formats]") {
    auto const dir = std::string("/usr/share/datasets/fashion-mnist/");
    if (!std::filesystem::exists(dir)) {
        WARN("dataset-fashion-mnist is not installed");
        return;
    }
    CHECK((ps::read_idx(dir + "t10k-images-idx3-ubyte.gz", dir + "t10k-labels-idx1-ubyte.gz") | ps::count()) == 10'000);
}
