// Implements: tests of side_index: DALI's .idx v1.1 and v1.2, Energon's .tar.idx (W23, W24, 1.8), and files that only look like them.
#include <penstock/formats/side_index.hpp>

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string shard(int samples, bool end = true) {
    auto maker = test::tar_maker{};
    for (int i = 0; i < samples; ++i) maker.add(std::to_string(i) + ".cls", "7").add(std::to_string(i) + ".bin", std::string(10, 'b'));
    return end ? maker.end().bytes : maker.bytes;
}
std::string u64(std::vector<std::uint64_t> const& numbers) { return {reinterpret_cast<char const*>(numbers.data()), numbers.size() * 8}; }
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::error const& e) {
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("side_index: W23, DALI's index of both versions", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const tar = dir.write("a.tar", shard(2));
    auto const read = [&](std::string_view text) { return ps::side_index::read(dir.write("a.idx", text), tar); };
    CHECK(read("v1.1 2\ncls 512 1 bin 1536 10\ncls 2560 1 bin 3584 10\n") == 2);
    CHECK(read("v1.2 2\ncls 512 1 0.cls bin 1536 10 0.bin\ncls 2560 1 1.cls bin 3584 10 1.bin") == 2);
    CHECK(read("v1.1 2\r\ncls 512 1 bin 1536 10\r\ncls 2560 1 bin 3584 10\r\n") == 2);
    CHECK(ps::side_index::look(tar).samples == 2u);
    struct row {
        char const *text, *why;
    };
    for (auto const& [text, why] : {row{"v1.3 2\n", "version v1.1 or v1.2 can be read, got 'v1.3'"}, row{"v1.1 0\n", "the number of samples, > 0"}, row{"v1.1 x\n", "expected the number of samples, got 'x'"},
                                    row{"v1.1 2 3\n", "nothing behind it"}, row{"v1.1 2\ncls 512 1 bin 1536 10\n", "its first line says 2 samples, it lists 1"}, row{"v1.1 1\ncls 513 1\n", "member at 513 of 1 byte "},
                                    row{"v1.1 1\ncls 0 1\n", "member at 0"}, row{"v1.1 1\ncls 512\n", "expected the size of a member, got ''"}, row{"v1.2 1\ncls 512 1\n", "expected the name of a member"},
                                    row{"v1.1 1\ncls 512 99999999999999999999\n", "expected the size"}, row{"v1.1 1\ncls 512 18446744073709551615\n", "is not in a shard of"},
                                    row{"v1.1 1\ncls 512 600\n", "neither a header nor its end"}}) {
        auto const got = error_of([&] { (void)read(text); });
        INFO(text << " gives " << got);
        CHECK(has(got, why));
        CHECK(has(got, "HINT"));
        CHECK_FALSE(ps::side_index::look(tar).samples);
        CHECK(has(ps::side_index::look(tar).reason, why));
    }
}

TEST_CASE("side_index: 1.8, Energon's offsets", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const tar = dir.write("a.tar", shard(2));
    auto const read = [&](std::vector<std::uint64_t> const& offsets) { return ps::side_index::read(dir.write("a.tar.idx", u64(offsets)), tar); };
    CHECK(read({0, 2048, 4096}) == 2);
    CHECK(ps::side_index::look(tar).samples == 2u);
    CHECK(read({0, 2048}) == 1);  // a header follows: the index leaves a sample out, which reading finds
    CHECK(has(error_of([&] { (void)read({0, 2048, 2560}); }), "neither a header nor its end"));
    CHECK(has(error_of([&] { (void)read({0, 2048, 2048}); }), "offset number 2 (2048) is no place of a sample"));
    CHECK(has(error_of([&] { (void)read({0, 100}); }), "offset number 1 (100)"));
    CHECK(has(error_of([&] { (void)read({0, 1 << 20}); }), "offset number 1"));
    CHECK(has(error_of([&] { (void)read({}); }), "0 bytes"));
    CHECK(has(error_of([&] { (void)ps::side_index::read(dir.write("a.tar.idx", "something"), tar); }), "neither DALI's text nor a list"));
    auto const open_end = dir.write("b.tar", shard(2, false));
    CHECK(ps::side_index::read(dir.write("b.tar.idx", u64({0, 2048, 4096})), open_end) == 2);
    CHECK(has(error_of([&] { (void)ps::side_index::read(dir.write("b.tar.idx", u64({0, 2048, 3584})), dir.write("b.tar", shard(2).substr(0, 4000))); }), "its last member ends at byte 3584, the shard has 4000"));
}

TEST_CASE("side_index: no index is no reason", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const answer = ps::side_index::look(dir.write("a.tar", shard(1)));
    CHECK_FALSE(answer.samples);
    CHECK(answer.reason.empty());
    CHECK_FALSE(ps::side_index::look(dir.write("shards", "x")).samples);
}
