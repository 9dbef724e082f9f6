// Implements: tests that every way of reading shards refuses, or leaves out and tells, the same things: apart, links, no fields, joined, trailing.
#include <penstock/formats/tar_allow.hpp>

#include <penstock/formats/build_index.hpp>
#include <penstock/formats/indexed.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/read_tar_uncounted.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/split_by_rank.hpp>

#include <support/battery.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using test::error_of;

namespace {

using list = std::vector<std::string>;
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

struct outcome {
    list samples{}, errors{};
    std::string note{};
};
/// What a chain gives and throws, its building included.
template <class Make>
outcome read(Make make) {
    auto out = outcome{};
    try {
        auto p = make();
        while (true) try {
                auto s = p.next();
                if (!s) break;
                auto text = s->key + ":";
                for (auto const& f : s->value.all()) text += " " + f.name;
                out.samples.push_back(text);
            } catch (ps::lost_samples const& e) {
                out.errors.push_back(e.what());
            }
        out.note = p.stats().front().note;
    } catch (ps::config_error const& e) {
        out.errors.push_back(e.what());
    }
    return out;
}

/// A shard, what is wrong with it, what must be allowed to read it, and what is read then.
struct odd {
    char const* name;
    std::string bytes, error;
    ps::tar_allow allow;
    list samples;
    std::string note;
    std::uint64_t parts;  ///< that no sample gets
};
std::vector<odd> all_odd() {
    auto const two = [](char const* a, char const* b) { return test::tar_maker{}.add(a, "1").add(b, "2").end().bytes; };
    return {
        {"hard link", test::tar_maker{}.add("0.cls", "0").add("0.txt", "t").add("1.cls", "1").add("1.txt", "", '1').add("2.txt", "2").end().bytes, "byte 3072: unsupported: member '1.txt' is a hard link", {.links = true}, {"0: cls txt", "1: cls", "2: txt"}, "allowed: 1 link", 1},
        {"links at the front", test::tar_maker{}.add("a.txt", "", '2').add("b.txt", "", '2').add("0.cls", "0").add("1.cls", "1").end().bytes, "byte 0: unsupported: member 'a.txt' is a symbolic link", {.links = true}, {"0: cls", "1: cls"}, "allowed: 2 links", 2},
        {"device", test::tar_maker{}.add("0.cls", "0").add("null", "", '3').add("1.cls", "1").end().bytes, "byte 1024: unsupported: member 'null' is a character device", {.special = true}, {"0: cls", "1: cls"}, "allowed: 1 special member", 1},
        {"no field", test::tar_maker{}.add("0.cls", "0").add("1.cls", "1").add("README", "r").end().bytes, "byte 2048: no_field: member 'README' is a file without an extension", {.no_field = true}, {"0: cls", "1: cls"}, "allowed: 1 file that is no field", 1},
        {"joined", two("0.a", "1.a") + two("2.a", "3.a"), "byte 3072: behind_end: another archive begins behind the end marker", {.joined = true}, {"0: a", "1: a", "2: a", "3: a"}, "allowed: 1 joined archive", 0},
        {"joined and left", two("0.a", "1.a") + two("2.a", "3.a"), "byte 3072: behind_end: another archive begins", {.trailing = true}, {"0: a", "1: a"}, "", 1},
        {"trailing", two("0.a", "1.a") + "more", "byte 3072: behind_end: not only zeros lie behind the end marker, but 4 bytes of something else", {.trailing = true}, {"0: a", "1: a"}, "", 1},
        {"missing end", test::tar_maker{}.add("0.a", "1").add("1.a", "2").bytes, "byte 2048: missing_end", {.missing_end = true}, {"0: a", "1: a"}, "", 0},
    };
}

}  // namespace

TEST_CASE("tar_allow: read_tar, counted or not, indexed and build_index refuse the same shards for the same reason", "[unit][read_tar]") {
    for (auto const& one : all_odd()) {
        INFO(one.name);
        test::temp_dir dir;
        auto const path = dir.write("s.tar", one.bytes);
        auto const n = one.samples.size();
        auto const counted = read([&] { return ps::shard_list({path}) | ps::read_tar({.progress = {}}); });
        REQUIRE(counted.errors.size() == 1);
        CHECK(counted.samples.empty());
        auto const indexed = read([&] { return ps::shard_list({path}) | ps::indexed({.progress = {}}); });
        REQUIRE(indexed.errors.size() == 1);
        CHECK(indexed.samples.empty());
        auto const built = ps::build_index(ps::shard_names::list({path}));
        for (auto const& text : {counted.errors[0], indexed.errors[0], built[0].problem}) {
            CHECK(has(text, path));
            CHECK(has(text, one.error));
            CHECK(has(text, "\n  HINT: "));
        }
        auto const given = read([&] { return ps::shard_list({path}, {.counts = {n}}) | ps::read_tar({.progress = {}}); });
        auto const unknown = read([&] { return ps::shard_list({path}) | ps::read_tar(ps::count_mode::unknown, {.progress = {}}); });
        auto const up_to = read([&] { return ps::shard_list({path}) | ps::read_tar({.damaged = ps::damaged_shards::read_up_to, .progress = {}}); });
        for (auto const& some : {given, unknown, up_to}) {
            REQUIRE(some.errors.size() == 1);
            CHECK(has(some.errors[0], one.error));
            CHECK(some.samples.size() <= n);
            for (std::size_t i = 0; i != some.samples.size(); ++i) CHECK(some.samples[i] == one.samples[i]);
        }
        CHECK(ps::shard_index::read(dir.path() + "/").size() == 0);  // nothing is remembered that would hide it
        CHECK_FALSE(std::filesystem::exists(ps::shard_block::path_of(path)));
    }
}

TEST_CASE("tar_allow: what is allowed is left out by every reader alike, counted, told once, and not remembered", "[unit][read_tar]") {
    for (auto const& one : all_odd()) {
        INFO(one.name);
        test::temp_dir dir;
        auto const path = dir.write("s.tar", one.bytes);
        auto told = list{};
        auto const notes = [&](std::string const& text) { told.push_back(text); };
        auto const check = [&](outcome const& got, char const* who) {
            CHECK(got.errors.empty());
            CHECK(got.samples == one.samples);
            REQUIRE(told.size() == 1);
            CHECK(has(told[0], std::string(who) + ": " + path + ", byte "));
            CHECK(has(told[0], "; that is allowed here, and told this once"));
            told.clear();
        };
        for (auto const damaged : {ps::damaged_shards::refuse, ps::damaged_shards::read_up_to})
            check(read([&] { return ps::shard_list({path}) | ps::read_tar({.damaged = damaged, .allow = one.allow, .progress = {}, .notes = notes}); }), "read_tar");
        auto const given = read([&] { return ps::shard_list({path}, {.counts = {one.samples.size()}}) | ps::read_tar({.allow = one.allow, .progress = {}, .notes = notes}); });
        check(given, "read_tar");
        if (!one.note.empty()) CHECK(given.note == one.note);
        check(read([&] { return ps::shard_list({path}) | ps::read_tar(ps::count_mode::unknown, {.allow = one.allow, .progress = {}, .notes = notes}); }), "read_tar");
        check(read([&] { return ps::shard_list({path}) | ps::indexed({.shuffle = false, .allow = one.allow, .progress = {}, .notes = notes}); }), "indexed");
        CHECK(ps::shard_index::read(dir.path() + "/").size() == 0);
        CHECK_FALSE(std::filesystem::exists(ps::shard_block::path_of(path)));
        CHECK(read([&] { return ps::shard_list({path}) | ps::read_tar({.progress = {}}); }).errors.size() == 1);
    }
}

TEST_CASE("tar_allow: each part of a shard that no sample gets is counted once per epoch over all ranks, however they walk to their shares", "[unit][read_tar]") {
    for (auto const& one : all_odd()) {
        INFO(one.name);
        test::temp_dir dir;
        auto const path = dir.write("s.tar", one.bytes);
        auto const sum = [&](auto reader) {
            std::vector<std::uint64_t> by_world;
            for (std::uint32_t size : {1u, 2u, 3u}) {
                std::uint64_t parts = 0;
                for (std::uint32_t rank = 0; rank != size; ++rank) {
                    auto p = ps::shard_list({path}) | ps::split_by_rank(ps::world{rank, size}) | reader();
                    CHECK(p.stats().front().left_out_parts == 0);  // what counting passed is not left out yet
                    for (std::uint64_t e : {0u, 1u}) {
                        p.reset(7, e);
                        while (p.next()) {}
                    }
                    parts += p.stats().front().left_out_parts;
                }
                by_world.push_back(parts);
            }
            return by_world;
        };
        auto const twice = std::vector<std::uint64_t>(3, 2 * one.parts);
        CHECK(sum([&] { return ps::read_tar({.allow = one.allow, .progress = {}, .notes = {}}); }) == twice);
        CHECK(sum([&] { return ps::read_tar(ps::count_mode::unknown, {.allow = one.allow, .progress = {}, .notes = {}}); }) == twice);
    }
}

TEST_CASE("tar_allow: a sample whose files lie apart is refused in every mode, and no index hides it", "[unit][read_tar]") {
    test::temp_dir dir;
    auto const path = dir.write("s.tar", test::tar_maker{}.add("0.a", "1").add("1.a", "2").add("0.b", "3").add("1.b", "4").end().bytes);
    for (std::uint64_t const n : {0u, 2u, 4u}) {
        auto const got = read([&] { return (n == 0 ? ps::shard_list({path}) : ps::shard_list({path}, {.counts = {n}})) | ps::read_tar(ps::count_mode::unknown, {.progress = {}}); });
        if (n != 0) continue;  // unknown and counted is refused as such
        REQUIRE(got.errors.size() == 1);
        CHECK(has(got.errors[0], "sample '0'"));
        CHECK(has(got.errors[0], "byte 2048: returning_key: files of this sample lie apart, the first at byte 0"));
    }
    dir.write("sizes.json", "{\"s.tar\": 4}");
    for (int round = 0; round != 2; ++round) {
        for (std::uint64_t const n : {2u, 4u}) {
            auto const given = read([&] { return ps::shard_list({path}, {.counts = {n}}) | ps::read_tar({.progress = {}}); });
            REQUIRE(given.errors.size() == 1);
            CHECK(has(given.errors[0], "returning_key"));
        }
        auto const side = read([&] { return ps::shard_list({path}) | ps::read_tar({.progress = {}}); });
        REQUIRE(side.errors.size() == 1);
        CHECK(has(side.errors[0], "returning_key"));
        auto const up_to = read([&] { return ps::shard_list({path}) | ps::read_tar({.damaged = ps::damaged_shards::read_up_to, .progress = {}}); });
        REQUIRE(up_to.errors.size() == 1);
        CHECK(has(up_to.errors[0], "returning_key"));
        std::filesystem::remove(dir.path("sizes.json"));
    }
    CHECK(ps::shard_index::read(dir.path() + "/").size() == 0);
}

TEST_CASE("build_index: samples with a fault take their places and are told", "[unit][formats]") {
    test::temp_dir dir;
    auto const path = dir.write("s.tar", test::tar_maker{}.add("0.a", "1").add("0.A", "2").add("1.a", "3").add("2.a", "4").add("2.a", "5").end().bytes);
    for (bool const checksums : {false, true}) {
        auto told = list{};
        auto const built = ps::build_index(ps::shard_names::list({path}), {.checksums = checksums, .again = true, .notes = [&](std::string const& text) { told.push_back(text); }});
        CHECK(built[0].problem.empty());
        CHECK(built[0].samples == 3);
        CHECK(told == list{path + ": 2 samples have faults and are an error when read; penstock-doctor names them"});
    }
}

TEST_CASE("tar_allow: a block that an older walk made hides nothing that lies before or between its samples", "[unit][indexed]") {
    test::temp_dir dir;
    for (auto const& one : all_odd()) {
        if (!one.allow.links && !one.allow.special && one.name != std::string("no field")) continue;
        INFO(one.name);
        auto const path = dir.write("s.tar", one.bytes);
        auto const found = ps::mark_samples(ps::io::open_file(path), false, {.allow = one.allow});
        auto marks = *ps::shard_index::stat_of(path);
        CHECK(found.needs_leave);
        marks.samples = found.samples;
        found.block.write(path, marks, found.end);
        auto const got = read([&] { return ps::shard_list({path}) | ps::indexed({.shuffle = false, .progress = {}}); });
        REQUIRE(got.errors.size() == 1);
        CHECK(has(got.errors[0], one.error));
        CHECK(got.samples.size() == one.samples.size() - 1);
    }
}
