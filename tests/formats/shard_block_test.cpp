// Implements: tests of shard_block, build_index and verify_index: offsets, checksums, staleness, damage, resumption.
#include <penstock/formats/build_index.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/write_tar.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/map.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
std::string shard(int samples, bool global = false) {
    auto maker = test::tar_maker{};
    if (global) maker.add("pax_global_header", test::tar_maker::pax("comment", "x"), 'g');
    for (int i = 0; i < samples; ++i) maker.add(ps::message(1000 + i, ".cls"), std::to_string(i)).add(ps::message(1000 + i, ".bin"), std::string(static_cast<std::size_t>(i % 700), 'b'));
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
ps::shard_names names(std::vector<std::string> const& paths) { return ps::shard_names::list(paths); }
void touch(std::string const& path, int seconds) { fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::seconds(seconds)); }
}  // namespace

TEST_CASE("shard_block: says where every sample of a walked shard lies", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    for (bool global : {false, true}) {
        auto const path = dir.write("a.tar", shard(30, global));
        for (bool sums : {false, true}) {
            auto const marked = ps::mark_samples(ps::io::open_file(path), sums);
            auto const now = *ps::shard_index::marks_of(path);
            marked.block.write(path, now, marked.end);
            auto const block = ps::shard_block::read(path, ps::io::file_opener(), now.bytes, &now);
            CHECK(block.samples() == 30);
            CHECK(block.has_checksums() == sums);
            CHECK(block.seekable() != global);
            CHECK(block.offset(30) == now.bytes - 1024);
            auto walker = ps::detail::tar_walker(ps::io::open_file(path));
            for (std::uint64_t i = 0; i != 30; ++i) {
                auto const s = walker.next();
                REQUIRE(s);
                REQUIRE(block.offset(i) == s->byte());
                if (!sums) continue;
                REQUIRE(block.fields(i) == 2);
                for (std::size_t k = 0; k != 2; ++k) REQUIRE(block.checksum(i, k) == ps::io::crc32c(s->all()[k].bytes.data(), s->all()[k].bytes.size()));
                ps::detail::check_sample(block, i, *s);
            }
        }
    }
    auto const none = dir.write("none.tar", std::string(1024, '\0'));
    auto const marked = ps::mark_samples(ps::io::open_file(none), true);
    auto const now = *ps::shard_index::stat_of(none);
    marked.block.write(none, now, marked.end);
    CHECK(ps::shard_block::read(none, ps::io::file_opener(), 1024, &now).samples() == 0);
}

TEST_CASE("shard_block: every cut, every flipped byte and another shard are refused", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("a.tar", shard(3));
    auto const marked = ps::mark_samples(ps::io::open_file(path), true);
    auto now = *ps::shard_index::marks_of(path);
    marked.block.write(path, now, marked.end);
    auto const block = ps::shard_block::path_of(path);
    CHECK(block == dir.path(".penstock-index.d/a.tar.block"));
    auto const good = test::file_bytes(block);
    auto const read = [&](std::string_view bytes) { return error_of([&, at = dir.write(".penstock-index.d/a.tar.block", bytes)] { (void)ps::shard_block::read(path, ps::io::file_opener(), now.bytes, &now); }); };
    CHECK(read(good) == "no error");
    for (std::size_t n = 0; n < good.size(); ++n) {
        REQUIRE(has(read(std::string_view(good).substr(0, n)), "HINT: write it again: penstock-index build --crc"));
        auto flipped = good;
        flipped[n] = static_cast<char>(flipped[n] ^ 16);
        REQUIRE(has(read(flipped), "shard_block: " + block));
    }
    CHECK(read(good + "x") != "no error");
    read(good);
    now.bytes += 512;
    CHECK(has(read(good), " when it was indexed"));
    now.bytes -= 512;
    now.mtime_ns += 1;
    CHECK(read(good) == "no error");  // its spots are the same
    auto other = shard(3);
    other[600] ^= 1;
    dir.write("a.tar", other);
    CHECK(has(read(good), "was changed after it was indexed"));
    fs::remove(block);
    CHECK(has(error_of([&] { (void)ps::shard_block::read(path, ps::io::file_opener(), now.bytes); }), "No such file"));
}

TEST_CASE("build_index: what is there and right is kept, what is damaged is named, the rest is made", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto paths = std::vector<std::string>{};
    for (int i = 0; i < 5; ++i) paths.push_back(dir.write(ps::message(i, ".tar"), i == 3 ? shard(9).substr(0, 5000) : shard(i)));
    paths.push_back(dir.path("gone.tar"));
    auto told = std::atomic<int>{0};
    auto const built = ps::build_index(names(paths), {.threads = 2, .progress = [&](ps::shard_progress const&) { ++told; }});
    CHECK(told == 6);
    REQUIRE(built.size() == 6);
    for (std::size_t i = 0; i != 5; ++i) {
        INFO(i);
        CHECK(built[i].problem.empty() == (i != 3));
        if (i != 3) CHECK(built[i].samples == i);
        CHECK_FALSE(built[i].kept);
        CHECK(fs::exists(ps::shard_block::path_of(paths[i])) == (i != 3));
    }
    CHECK(has(built[3].problem, paths[3] + ", sample '1002', byte "));
    CHECK(has(built[5].problem, "gone.tar: no such file"));
    auto const index = ps::shard_index::read(dir.path() + "/");
    CHECK(index.size() == 4);
    // the scan for counts believes it
    CHECK((ps::shard_list({paths[1], paths[4]}) | ps::read_tar({.scan = ps::scan_shards::never})).world_max() == 5);

    auto const again = ps::build_index(names(paths));
    for (std::size_t i = 0; i != 5; ++i) CHECK(again[i].kept == (i != 3));
    auto const summed = ps::build_index(names(paths), {.checksums = true});
    for (std::size_t i = 0; i != 5; ++i) CHECK_FALSE(summed[i].kept);
    CHECK(ps::build_index(names(paths))[4].kept);
    CHECK_FALSE(ps::build_index(names(paths), {.again = true})[4].kept);
    dir.write("3.tar", shard(3));
    touch(paths[1], 9);
    fs::remove(ps::shard_block::path_of(paths[2]));
    auto const mended = ps::build_index(names(paths));
    CHECK((mended[1].kept && !mended[2].kept && !mended[3].kept && mended[3].problem.empty()));  // what was only touched is the same
    CHECK_FALSE(fs::exists(ps::io::atomic_file::temporary_of(dir.path(".penstock-index"))));

    fs::remove_all(dir.path(".penstock-index.d"));
    dir.write(".penstock-index.d", "in the way");
    CHECK(has(error_of([&] { (void)ps::build_index(names(paths)); }), ".penstock-index.d/"));
}

TEST_CASE("verify_index: finds every flipped bit of a payload, every moved sample, every change", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const bytes = shard(20);
    auto const path = dir.write("a.tar", bytes);
    CHECK(has(ps::verify_index(names({path}))[0].problem, "a.tar is not in the index"));
    (void)ps::build_index(names({path}), {.checksums = true});
    auto const good = ps::verify_index(names({path}));
    CHECK((good[0].problem.empty() && good[0].samples == 20));
    auto const time = fs::last_write_time(path);
    auto const with = [&](std::string const& changed) {
        dir.write("a.tar", changed);
        fs::last_write_time(path, time);  // the change shows nowhere but in the bits
        return ps::verify_index(names({path}))[0].problem;
    };
    CHECK(with(bytes).empty());
    auto const header = bytes.find("1007.bin");
    auto flipped = bytes;
    flipped[header + 512 + 3] ^= 4;
    auto const text = with(flipped);
    CHECK(has(text, path + ", sample '1007', byte " + std::to_string(bytes.find("1007.cls")) + ": bad_checksum: the 7 bytes of field 'bin' have the CRC-32C "));
    CHECK(has(text, "HINT: some bits changed"));
    CHECK(ps::verify_index(names({path}), true)[0].problem.empty());  // headers alone cannot tell
    touch(path, 5);
    CHECK(has(ps::verify_index(names({path}))[0].problem, "bad_checksum"));  // whatever the time
    dir.write("a.tar", bytes);
    touch(path, 5);
    CHECK(ps::verify_index(names({path}))[0].problem.empty());
    flipped = bytes;
    flipped[header + 257 + 20] ^= 1;  // the user id: in no field, and the header does not verify
    dir.write("a.tar", flipped);
    CHECK(has(ps::verify_index(names({path}))[0].problem, "bad_header"));
    auto doubled = test::tar_maker{};
    for (int i = 0; i != 5; ++i) doubled.add(ps::message(i, ".cls"), "1").add(ps::message(i, ".CLS"), "2").add(ps::message(i, "whole.cls"), "3");
    auto const faulty = dir.write("faulty.tar", doubled.end().bytes);
    for (bool sums : {false, true}) {
        (void)ps::build_index(names({faulty}), {.checksums = sums, .again = true});
        for (bool headers : {false, true}) {
            auto const found = ps::verify_index(names({faulty}), headers)[0];
            CHECK((found.problem.empty() && found.samples == 10 && found.faulty == 5));
            CHECK((found.faults.size() == 3 && has(found.faults[1], "sample '1', byte ") && has(found.faults[1], "duplicate_field")));
        }
    }
    flipped = bytes + std::string(512, '\0');
    dir.write("a.tar", flipped);
    CHECK(has(ps::verify_index(names({path}))[0].problem, "when it was indexed"));
}

TEST_CASE("build_index: a data set that was copied keeps counts, places and checksums, and nothing of it is read again", "[unit][formats]") {
    auto const dir = test::temp_dir{}, other = test::temp_dir{};
    auto paths = std::vector<std::string>{}, copies = std::vector<std::string>{};
    for (int i = 0; i < 4; ++i) {
        paths.push_back(dir.write(ps::message(i, ".tar"), shard(50 + i)));
        copies.push_back(other.path(ps::message(i, ".tar")));
    }
    (void)ps::build_index(names(paths), {.checksums = true});
    auto const copy = [&](int hours) {
        fs::copy(dir.path(), other.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
        for (auto const& path : copies) touch(path, 3600 * hours);
    };
    copy(1);
    for (auto const& shard : ps::verify_index(names(copies))) CHECK(shard.problem.empty());
    auto verified = ps::shard_list(copies) | ps::read_tar({.write_index = false, .scan = ps::scan_shards::never, .verify = true});
    std::size_t n = 0;
    while (verified.next()) ++n;
    CHECK(n == 50 + 51 + 52 + 53);
    for (auto const& shard : ps::build_index(names(copies))) CHECK(shard.kept);
    for (auto const& path : copies) {
        auto const now = *ps::shard_index::stat_of(path);
        CHECK_FALSE(ps::shard_index::read(other.path() + "/").look(path).moved);
        CHECK(ps::shard_block::read(path, ps::io::file_opener(), now.bytes, &now).shard().mtime_ns == now.mtime_ns);
        CHECK(ps::shard_block::read(path, ps::io::file_opener(), now.bytes, &now).has_checksums());
    }
    // one that is another shard of the same length is made again
    copy(2);
    auto bytes = shard(51);
    bytes[bytes.find("1007.bin") + 512] ^= 1;
    other.write("1.tar", bytes);
    auto notes = std::string{};
    auto const again = ps::build_index(names(copies), {.notes = [&](std::string const& note) { notes += note; }});
    for (std::size_t i = 0; i != 4; ++i) CHECK(again[i].kept == (i != 1));
    CHECK(notes == "1 shard loses its checksums, which are replaced by an index without (--crc makes new ones): " + copies[1]);
}

TEST_CASE("shard_block: one of an older version is read where there is no new one; a foreign file is neither read nor replaced", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("a.tar", shard(5));
    (void)ps::build_index(names({path}), {.checksums = true});
    auto const now = *ps::shard_index::stat_of(path);
    fs::rename(dir.path(".penstock-index.d"), dir.path("penstock-index.d"));
    fs::rename(dir.path(".penstock-index"), dir.path("penstock-index"));
    auto const read = [&] { return ps::shard_block::read(path, ps::io::file_opener(), now.bytes, &now); };
    CHECK(read().has_checksums());
    auto verified = ps::shard_list({path}) | ps::read_tar({.scan = ps::scan_shards::never, .verify = true});
    CHECK(verified.next()->value.text("cls") == "0");
    auto notes = std::string{};
    auto const options = ps::build_index_options{.notes = [&](std::string const& note) { notes += note; }};
    CHECK(ps::build_index(names({path}), options)[0].kept);
    CHECK(notes == dir.path("penstock-index") + " is of an older version: what it knows goes into " + dir.path(".penstock-index") + ", which is used from now on");
    CHECK(test::file_bytes(dir.path(".penstock-index.d/a.tar.block")) == test::file_bytes(dir.path("penstock-index.d/a.tar.block")));
    CHECK(ps::shard_index::read(dir.path() + "/").look(path).samples == 5u);
    // a block knows what a lost index knew
    fs::remove(dir.path(".penstock-index"));
    fs::remove(dir.path("penstock-index"));
    CHECK(ps::build_index(names({path}))[0].kept);
    CHECK(ps::shard_index::read(dir.path() + "/").look(path).samples == 5u);
    // the new name wins
    auto const marked = ps::mark_samples(ps::io::open_file(path), false);
    marked.block.write(path, now, marked.end);
    CHECK_FALSE(read().has_checksums());

    auto const foreign = dir.write(".penstock-index.d/a.tar.block", "my notes");
    CHECK(has(error_of([&] { (void)read(); }), "shard_block: " + foreign));
    CHECK(has(error_of([&] { (void)ps::build_index(names({path}), {.again = true}); }), foreign + ": this is no block of penstock"));
    ps::shard_block::remove(path);
    CHECK(test::file_bytes(foreign) == "my notes");
    CHECK_FALSE(fs::exists(dir.path("penstock-index.d/a.tar.block")));
    dir.write(".penstock-index", "my notes");
    CHECK(has(error_of([&] { (void)ps::build_index(names({path})); }), dir.path(".penstock-index") + ": this is no index of penstock"));
}

TEST_CASE("read_tar: D10, a flipped bit of a payload is an error that names sample and field, and costs that sample alone", "[unit][read_tar]") {
    auto const dir = test::temp_dir{};
    (void)(ps::range(40) | ps::map([](std::int64_t i) {
               auto f = ps::fields(nullptr, ps::message("k", 100 + i), 0);
               f.add("png", ps::blob::of(std::string(300, static_cast<char>(i))));
               f.add("cls", ps::blob::of(std::to_string(i)));
               return f;
           }) |
           ps::write_tar(dir.path("t-{}.tar"), {.samples = 10}));
    auto const pattern = dir.path("t-{000000..000003}.tar");
    auto const read = [&](bool verify, ps::world w = {}) {
        auto p = ps::shard_list(pattern) | ps::split_by_rank(w) | ps::read_tar({.verify = verify});
        auto errors = std::string{};
        std::uint64_t ids = 0, n = 0, covered = 0, lost = 0;
        while (true) {
            try {
                auto s = p.next();
                if (!s) break;
                ++n;
                ids += s->id;
                covered += s->cover.count();
            } catch (ps::lost_samples const& e) {
                errors += e.what();
                lost += e.lost;
            }
        }
        return ps::message(n, " items, sum ", ids, ", covers ", covered, ", lost ", lost, "; ", errors);
    };
    CHECK(read(true) == "40 items, sum 780, covers 40, lost 0; ");
    auto const path = dir.path("t-000002.tar");
    auto const time = fs::last_write_time(path);
    auto bytes = test::file_bytes(path);
    auto const header = bytes.find("k125.png");
    bytes[header + 512 + 299] ^= 1;
    dir.write("t-000002.tar", bytes);
    fs::last_write_time(path, time);
    CHECK(read(false) == "40 items, sum 780, covers 40, lost 0; ");  // no other reader notices either
    auto const text = read(true);
    CHECK(has(text, "39 items, sum 755, covers 40, lost 1; read_tar: " + path + ", sample 'k125' (id 25), byte "));
    CHECK(has(text, "bad_checksum: the 300 bytes of field 'png' have the CRC-32C "));
    CHECK(has(text, "; 1 sample is lost\n  HINT: some bits changed: copy the shard again from its source"));
    // a part of a shard, reached by its block
    CHECK(has(read(true, {1, 2}), "19 items, sum 565, covers 20, lost 1; "));
    CHECK(read(true, {0, 2}) == "20 items, sum 190, covers 20, lost 0; ");

    // the time of change is no proof, neither for nor against: the same sample is found out, and no other one is lost
    touch(path, 9);
    CHECK(read(true) == text);
    // a shard written anew at the same length: every sample that is not what was indexed is named
    auto other = bytes;
    for (int i = 120; i != 130; ++i) other[other.find(ps::message('k', i, ".png")) + 512] ^= 1;
    dir.write("t-000002.tar", other);
    CHECK(has(read(true), "30 items"));
    dir.write("t-000002.tar", bytes);
    fs::remove(ps::shard_block::path_of(path));
    auto const refused = error_of([&] { (void)read(true); });
    CHECK(has(refused, "read_tar: verify needs the checksums of every shard, and " + path + " has none"));
    CHECK(has(refused, "HINT: penstock-index build --crc"));
    (void)ps::build_index(names({path}));
    CHECK(has(error_of([&] {
                  auto p = ps::shard_list({path}) | ps::read_tar({.verify = true});
                  (void)p.next();
              }),
              "the block has no checksums"));
}

TEST_CASE("read_tar: a part of a shard is reached by its block without reading what lies before it", "[unit][read_tar]") {
    auto const dir = test::temp_dir{};
    for (bool global : {false, true}) {
        auto const path = dir.write("a.tar", shard(2000, global));
        (void)ps::build_index(names({path}), {.again = true});
        auto p = ps::shard_list({path}) | ps::split_by_rank({.rank = 3, .size = 4}) | ps::read_tar();
        auto const s = p.next();
        REQUIRE(s);
        CHECK(s->key == "2500");
        CHECK(s->value.text("cls") == "1500");
        std::size_t n = 1;
        for (; p.next(); ++n) {}
        CHECK(n == 500);

        auto read = std::make_shared<test::faulty_source>(shard(2000, global), path);
        auto format = ps::detail::tar_format{.io = [&](std::string const& name) -> std::shared_ptr<ps::io::byte_source> { return name == path ? read : ps::io::open_file(name); }};
        auto const open = format.open(path, 2000);
        CHECK(open->skip(1900) == 1900);
        CHECK(open->index() == 1900);
        auto const at = open->next();
        REQUIRE(at);
        CHECK(at->key() == "2900");
        CHECK((read->bytes_read < 8000) == !global);
    }
}

TEST_CASE("read_tar: D5 with a block: a cut shard gives every sample that lies whole before the cut", "[unit][read_tar]") {
    auto const dir = test::temp_dir{};
    auto const bytes = shard(6);
    auto const path = dir.write("a.tar", bytes);
    (void)ps::build_index(names({path}));
    auto const block = ps::shard_block::read(path, ps::io::file_opener(), bytes.size());
    fs::resize_file(path, block.offset(4));
    for (bool there : {true, false}) {
        if (!there) fs::remove(ps::shard_block::path_of(path));
        auto p = ps::shard_list({path}) | ps::read_tar({.damaged = ps::damaged_shards::read_up_to});
        std::size_t n = 0;
        auto text = std::string{};
        while (true) {
            try {
                if (!p.next()) break;
                ++n;
            } catch (ps::lost_samples const& e) {
                text += e.what();
                CHECK(e.lost == 1);
            }
        }
        CHECK(n == (there ? 4u : 3u));
        CHECK(has(text, "missing_end"));
        CHECK(p.world_max() == n + 1);
    }
}
