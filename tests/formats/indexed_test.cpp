#include <penstock/formats/indexed.hpp>
#include <penstock/formats/build_index.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/write_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/count.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/write_to.hpp>

#include <support/battery.hpp>
#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace fs = std::filesystem;
namespace test = penstock::test;
using test::error_of;
using namespace std::chrono_literals;

namespace {

/// Shards on disk whose samples say who they are: cls holds the id. Between some lie members that are no fields.
class shards {
public:
    explicit shards(std::vector<std::uint64_t> sizes) : sizes_(std::move(sizes)) {
        std::uint64_t id = 0;
        for (auto n : sizes_) {
            names_.push_back(dir_.write(ps::message("s-", names_.size(), ".tar"), tar(id, n)));
            id += n;
        }
    }
    static std::string tar(std::uint64_t first, std::uint64_t n, bool end = true) {
        auto t = test::tar_maker{};
        for (auto id = first; id != first + n; ++id) {
            if (id % 5 == 3) t.add("folder/", "", '5');
            t.add(key(id) + ".cls", std::to_string(id));
            t.add(key(id) + ".png", std::string(id * 37 % 1300, static_cast<char>('a' + id % 26)));
        }
        if (end) t.end();
        return t.bytes;
    }
    static std::string key(std::uint64_t id) { return ps::message("n", 100000 + id); }

    std::string const& operator[](std::size_t i) const { return names_[i]; }
    std::vector<std::string> const& names() const { return names_; }
    std::vector<std::uint64_t> const& sizes() const { return sizes_; }
    test::temp_dir const& dir() const { return dir_; }
    ps::shard_plan plan(ps::shard_list_options const& o = {}) const { return ps::shard_list(names_, o); }
    ps::shard_plan counted(ps::shard_list_options o = {}) const {
        o.counts = sizes_;
        return plan(o);
    }
    std::uint64_t all() const {
        std::uint64_t n = 0;
        for (auto s : sizes_) n += s;
        return n;
    }

private:
    test::temp_dir dir_;
    std::vector<std::uint64_t> sizes_;
    std::vector<std::string> names_;
};

struct outcome {
    std::vector<std::uint64_t> ids;
    std::uint64_t covered = 0;
    std::vector<std::string> errors;
};
template <class P>
outcome drain(P& p, std::uint64_t at_most = ~std::uint64_t{0}, ps::ledger* used = nullptr) {
    outcome out;
    for (std::uint64_t i = 0; i != at_most; ++i) {
        try {
            auto s = p.next();
            if (!s) return out;
            REQUIRE(static_cast<std::uint64_t>(s->value.integer("cls")) == s->id);
            REQUIRE(s->key == shards::key(s->id));
            REQUIRE(s->value.bytes("png").size() == s->id * 37 % 1300);
            out.ids.push_back(s->id);
            out.covered += s->cover.count();
            if (used != nullptr) used->commit(*s);
        } catch (ps::lost_samples const& e) {
            CHECK(e.lost == 1);
            out.errors.push_back(e.what());
        }
    }
    return out;
}
std::vector<std::uint64_t> range(std::uint64_t end) {
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i != end; ++i) out.push_back(i);
    return out;
}
std::vector<std::uint64_t> sorted(std::vector<std::uint64_t> v) {
    std::sort(v.begin(), v.end());
    return v;
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }
/// Changes bytes of a file and leaves its time of change as it was.
void patch(std::string const& path, std::size_t at, std::string const& bytes) {
    auto const then = fs::last_write_time(path);
    {
        auto f = std::fstream(path, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(static_cast<std::streamoff>(at));
        f << bytes;
    }
    fs::last_write_time(path, then);
}
auto quiet() { return ps::indexed_options{.progress = {}}; }

}  // namespace

TEST_CASE("indexed: every sample once and equal shares on real tars, in an order over all of them that is new in every pass", "[unit][indexed]") {
    ps::random_stream draw(31, 0, 0);
    for (int round = 0; round != 24; ++round) {
        std::vector<std::uint64_t> sizes(1 + draw.below(12));
        for (auto& n : sizes) n = draw.chance(0.25) ? 0 : draw.below(40);
        sizes.front() += 1;
        auto const disk = shards(sizes);
        auto const world = 1 + draw.below(9);
        bool const shuffle = draw.chance(0.7);
        auto options = ps::shard_list_options{};
        auto n = disk.all();
        if (draw.chance(0.3)) options.samples_per_epoch = n = 1 + draw.below(static_cast<std::uint32_t>(2 * n));
        std::vector<std::vector<std::uint64_t>> orders;
        std::vector<std::uint64_t> times(disk.all());
        std::set<std::uint64_t> positions;
        for (std::uint64_t e = 0; e != 3; ++e) {
            auto order = std::vector<std::uint64_t>(n);
            for (std::uint32_t r = 0; r != world; ++r) {
                auto p = disk.plan(options) | ps::split_by_rank({r, world}) | ps::indexed({.shuffle = shuffle, .open_shards = 3, .progress = {}});
                p.reset(6, e);
                CHECK(p.world_max() == (n + world - 1) / world);
                CHECK(p.facts().world_min == n / world);
                auto const promised = p.hint();
                auto const got = drain(p);
                REQUIRE(got.errors.empty());
                REQUIRE(got.covered == got.ids.size());
                REQUIRE(promised == ps::size_hint{got.ids.size(), got.ids.size()});
                REQUIRE(got.ids.size() == (n - (std::min)(n, std::uint64_t{r}) + world - 1) / world);
                for (std::size_t k = 0; k != got.ids.size(); ++k) order[r + k * world] = got.ids[k];
                CHECK_FALSE(p.next());
            }
            for (auto id : order) ++times[id];
            if (options.samples_per_epoch == 0) {
                REQUIRE(sorted(order) == range(n));
                if (!shuffle) CHECK(order == range(n));
                if (shuffle && n > 10 && !orders.empty()) CHECK(orders.back() != order);
            }
            orders.push_back(std::move(order));
        }
        auto const whole = 3 * n / disk.all();
        for (auto t : times) REQUIRE((t == whole || t == whole + 1));
    }
}

TEST_CASE("indexed: the same global batches in every world that divides them", "[unit][indexed]") {
    auto const disk = shards({13, 0, 29, 7, 40});
    std::vector<std::vector<std::uint64_t>> alone;
    for (std::uint32_t const world : {1u, 2u, 3u, 4u, 6u, 12u}) {
        auto const b = 12 / world;
        std::vector<std::vector<std::uint64_t>> batches((89 + 11) / 12);
        for (std::uint32_t r = 0; r != world; ++r) {
            auto p = disk.plan() | ps::split_by_rank({r, world}) | ps::indexed(quiet()) | ps::batch(b);
            p.reset(2, 1);
            std::size_t step = 0;
            while (auto one = p.next()) {
                batches.at(step).insert(batches[step].end(), one->ids.begin(), one->ids.end());
                ++step;
            }
            CHECK(step == batches.size());
        }
        for (auto& batch : batches) batch = sorted(batch);
        if (world == 1) alone = batches;
        CHECK(batches == alone);
    }
}

TEST_CASE("indexed: source contract", "[unit][indexed][no_tsan]") {
    static std::map<int, std::unique_ptr<shards>> disks;  // shards of n samples: half, none, the rest
    auto const disk = [](int n) -> shards& {
        auto& d = disks[n];
        auto const all = static_cast<std::uint64_t>(n);
        if (!d) d = std::make_unique<shards>(std::vector<std::uint64_t>{all / 2, 0, all - all / 2});
        return *d;
    };
    struct show_id {
        std::string operator()(ps::sample const& s) const { return std::string(s.value.text("cls")) + "/" + std::to_string(s.pass); }
        std::string operator()(std::string const& s) const { return s; }
    };
    for (bool const shuffle : {false, true}) {
        auto make = [=](int n, ps::world w) { return disk(n).plan() | ps::split_by_rank(w) | ps::indexed({.shuffle = shuffle, .progress = {}}); };
        auto model = [=](int n, test::facts const& f) {
            auto const all = static_cast<std::uint64_t>(n);
            auto const order = ps::permutation(all, ps::child_key(f.epoch.key, "indexed"), f.epoch.index);
            std::vector<std::string> out;
            for (std::uint64_t slot = f.world.rank; slot < all; slot += f.world.size) out.push_back(ps::message(shuffle ? order(slot) : slot, '/', f.epoch.index));
            return out;
        };
        auto broken = [=](int n, int j) {
            // the checksum of a header of the j-th sample of the order, in a copy of the shards
            auto const bad = shuffle ? ps::permutation(static_cast<std::uint64_t>(n), ps::child_key(ps::epoch{}.key, "indexed"), 0)(static_cast<std::uint64_t>(j)) : static_cast<std::uint64_t>(j);
            auto copy = std::make_shared<std::map<std::string, std::string>>();
            (void)ps::build_index(ps::shard_names::list(disk(n).names()));
            for (auto const& name : disk(n).names()) {
                auto bytes = test::file_bytes(name);
                if (auto const at = bytes.find(shards::key(bad) + ".png"); at != bytes.npos) bytes[at + 124] = 'x';
                copy->emplace(name, bytes);
                auto const block = ps::shard_block::path_of(name);
                copy->emplace(block, test::file_bytes(block));
            }
            return disk(n).plan() | ps::indexed({.shuffle = shuffle, .io = [copy](std::string const& path) { return std::make_shared<test::faulty_source>(copy->at(path), path); }, .progress = {}});
        };
        test::battery(test::source_case{.name = "indexed", .make = make, .model = model, .broken = broken, .show = show_id{}, .sizes = {1, 2, 7, 64}});
    }
}

TEST_CASE("indexed: the example of its comment", "[unit][indexed]") {
    test::temp_dir dir;
    dir.write("train-000.tar", shards::tar(0, 4));
    dir.write("train-001.tar", shards::tar(4, 3));
    struct there {
        fs::path back = fs::current_path();
        ~there() { fs::current_path(back); }
    } const guard;
    fs::current_path(dir.path());
    // example-begin indexed
    auto samples = ps::shard_list("train-{000..001}.tar") | ps::indexed();
    // example-end indexed
    CHECK((std::move(samples) | ps::count()) == 7);
}

TEST_CASE("indexed: a part that is held out and the rest are every sample once", "[unit][indexed]") {
    auto const disk = shards({70, 0, 41, 90});
    std::vector<std::uint64_t> all;
    for (auto const which : {ps::part::train, ps::part::val}) {
        auto const options = ps::shard_list_options{.part = which, .hold_out = 0.15};
        std::vector<std::uint64_t> mine;
        for (std::uint32_t r = 0; r != 3; ++r) {
            auto p = disk.plan(options) | ps::split_by_rank({r, 3}) | ps::indexed(quiet());
            auto const got = drain(p);
            CHECK(got.ids.size() + 1 >= *p.world_max());
            mine.insert(mine.end(), got.ids.begin(), got.ids.end());
        }
        // the same part as read_tar has
        auto tar = disk.plan(options) | ps::read_tar();
        CHECK(sorted(mine) == drain(tar).ids);
        all.insert(all.end(), mine.begin(), mine.end());
    }
    CHECK(sorted(all) == range(201));
}

TEST_CASE("indexed: resumes at every position and over the epoch's edge, in a part too", "[unit][indexed]") {
    auto const disk = shards({7, 0, 12, 3});
    for (auto const which : {ps::part::all, ps::part::train})
        for (bool const shuffle : {false, true}) {
            auto const make = [&] {
                return disk.plan({.samples_per_epoch = 15, .part = which, .hold_out = which == ps::part::all ? 0 : 0.3}) | ps::shuffle_shards() | ps::split_by_rank({1, 2}) |
                       ps::indexed({.shuffle = shuffle, .open_shards = 1, .progress = {}});
            };
            auto const trace = [](auto& p, std::vector<ps::state>* states) {
                std::vector<std::uint64_t> ids;
                while (true) {
                    if (states) states->push_back(p.save());
                    if (auto s = p.next()) ids.push_back(s->id);
                    else if (p.current().index == 2) return ids;
                    else {
                        ids.push_back(999);
                        p.reset(4, p.current().index + 1);
                    }
                }
            };
            auto p = make();
            p.reset(4, 0);
            std::vector<ps::state> states;
            auto const whole = trace(p, &states);
            for (std::size_t k = 0; k != states.size(); ++k) {
                auto q = make();
                q.load(ps::state::parse(states[k].text()));
                CHECK(q.save() == states[k]);
                CHECK(q.world_max() == p.world_max());
                REQUIRE(trace(q, nullptr) == std::vector(whole.begin() + static_cast<std::ptrdiff_t>(k), whole.end()));
            }
            CHECK(states.back().text().size() < 800);
        }
}

TEST_CASE("indexed: goes on in other worlds with what was not delivered, again and again", "[unit][indexed]") {
    auto const disk = shards({30, 11, 0, 52});
    ps::random_stream draw(5, 0, 0);
    for (int round = 0; round != 12; ++round) {
        ps::ledger used;
        std::vector<std::uint64_t> ids;
        auto const part = round % 3 == 0 ? ps::part::train : ps::part::all;
        auto const options = ps::shard_list_options{.part = part, .hold_out = part == ps::part::all ? 0 : 0.2};
        for (int turn = 0; turn != 5; ++turn) {
            auto const world = 1 + draw.below(6);
            ps::ledger done;
            std::uint64_t most = 0;
            for (std::uint32_t r = 0; r != world; ++r) {
                auto const make = [&] { return disk.plan(options) | ps::split_by_rank({r, world}) | ps::indexed(quiet()); };
                auto p = make();
                if (turn == 0) p.reset(8, 1);
                else p.reset(ps::epoch::of(8, 1), used);
                most = *p.world_max();
                auto const stop = turn == 4 ? most : draw.below(static_cast<std::uint32_t>(most / 2 + 1));
                auto const first = draw.below(static_cast<std::uint32_t>(stop + 1));
                auto a = drain(p, first, &done);
                ids.insert(ids.end(), a.ids.begin(), a.ids.end());
                auto q = make();  // a crash and a restart in the same world in between
                if (turn == 0) q.load(p.save());
                else {
                    CHECK(has(error_of<ps::state_error>([&] { auto wrong = make(); wrong.load(p.save()); }), "without the ledger"));
                    q.load(p.save(), used);
                }
                auto b = drain(q, stop - first, &done);
                ids.insert(ids.end(), b.ids.begin(), b.ids.end());
            }
            used.merge(done);
        }
        auto const all = sorted(ids);
        CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
        auto p = disk.plan(options) | ps::indexed(quiet());
        CHECK(all.size() == p.inner().plan().samples());
    }
}

TEST_CASE("indexed: through shuffle and batch, saved in the middle of both", "[unit][indexed]") {
    auto const disk = shards({20, 31});
    auto const make = [&] { return disk.plan() | ps::split_by_rank({0, 2}) | ps::indexed(quiet()) | ps::shuffle(8) | ps::batch(3); };
    auto p = make();
    p.reset(1, 0);
    for (int k = 0; k != 9; ++k) {
        auto q = make();
        q.load(p.save());
        auto const a = p.next(), b = q.next();
        REQUIRE(a.has_value() == b.has_value());
        if (a) CHECK(a->ids == b->ids);
    }
}

TEST_CASE("indexed: shards without a block are scanned once, and the block is left beside them", "[unit][indexed]") {
    auto const disk = shards({5, 0, 9});
    auto scans = 0;
    auto const options = ps::indexed_options{.progress = [&](ps::shard_progress const& p) { scans += p.done == p.shards && p.shards != 0; }};
    auto p = disk.plan() | ps::indexed(options);
    CHECK(scans == 1);
    for (auto const& name : disk.names()) CHECK(fs::exists(ps::shard_block::path_of(name)));
    CHECK_FALSE(fs::exists(disk.dir().path(".penstock-counting")));
    CHECK(drain(p).ids.size() == 14);
    auto q = disk.plan() | ps::indexed(options);
    CHECK(scans == 1);
    CHECK(ps::shard_index::read(disk.dir().path() + "/").size() == 3);  // counts for read_tar as well
    fs::remove(ps::shard_block::path_of(disk[2]));
    fs::remove(disk.dir().path(".penstock-index"));
    auto none = disk.plan() | ps::indexed({.write_index = false, .progress = {}});
    CHECK_FALSE(fs::exists(ps::shard_block::path_of(disk[2])));
    CHECK(sorted(drain(none).ids) == range(14));
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::indexed({.scan = ps::scan_shards::never})); }), disk[2] + ", and scan is never\n  HINT"));
    CHECK(has(error_of<ps::config_error>([&] { (void)(ps::shard_list({"s3://b/a.tar"}) | ps::indexed(quiet())); }), "unless it is asked for\n  HINT: files of this machine are read; copy or mount"));
    if (::geteuid() != 0) {
        fs::permissions(disk.dir().path(".penstock-index.d"), fs::perms::owner_read | fs::perms::owner_exec);
        auto kept = disk.plan() | ps::indexed(quiet());
        fs::permissions(disk.dir().path(".penstock-index.d"), fs::perms::owner_all);
        CHECK_FALSE(fs::exists(ps::shard_block::path_of(disk[2])));
        CHECK(sorted(drain(kept).ids) == range(14));
    }
    fs::remove_all(disk.dir().path(".penstock-index.d"));
    disk.dir().write(".penstock-index.d", "in the way");
    auto held = disk.plan() | ps::indexed(quiet());
    CHECK(sorted(drain(held).ids) == range(14));
}

TEST_CASE("indexed: ranks that index at once agree", "[unit][indexed]") {
    auto const disk = shards({40, 60, 0, 90});
    std::vector<std::uint64_t> most(6);
    {
        std::vector<std::jthread> ranks;
        for (std::uint32_t r = 0; r != 6; ++r) ranks.emplace_back([&, r] { most[r] = *(disk.plan() | ps::split_by_rank({r, 6}) | ps::indexed(quiet())).world_max(); });
    }
    CHECK(most == std::vector<std::uint64_t>(6, 32));
    CHECK(fs::exists(ps::shard_block::path_of(disk[3])));
}

TEST_CASE("indexed: damage costs the samples it hits, each named, and on_error skips it", "[unit][indexed]") {
    auto const disk = shards({12, 8});
    (void)(disk.plan() | ps::indexed(quiet()));
    auto const bytes = test::file_bytes(disk[0]);
    patch(disk[0], bytes.find(shards::key(4) + ".png") + 124, "x");   // the size field: the checksum of the header does not hold
    patch(disk[0], bytes.find(shards::key(7) + ".cls"), "z");         // the first header of sample 7: the walk to it is not needed
    auto p = disk.plan() | ps::indexed(quiet());
    auto const got = drain(p);
    auto wanted = range(20);
    wanted.erase(wanted.begin() + 7);
    wanted.erase(wanted.begin() + 4);
    CHECK(sorted(got.ids) == wanted);
    CHECK(got.covered + p.trailing().count() == 20);
    REQUIRE(got.errors.size() == 2);
    CHECK(p.stats().at(0).errors == 2);
    auto const which = has(got.errors[0], "(id 4)") ? 0u : 1u;
    CHECK(has(got.errors[which], "indexed: " + disk[0] + ", sample '" + shards::key(4) + "' (id 4), byte "));
    CHECK(has(got.errors[which], "bad_header: "));
    CHECK(has(got.errors[which], "; 1 sample is lost\n  HINT"));
    CHECK(has(got.errors[1 - which], "(id 7), byte " + std::to_string(bytes.find(shards::key(7) + ".cls"))));
    auto skipping = disk.plan() | ps::indexed(quiet()) | ps::on_error(ps::skips{.total = 2}) | ps::batch(4);
    std::size_t batches = 0, samples = 0;
    while (auto b = skipping.next()) ++batches, samples += b->ids.size();
    CHECK(batches == 5);
    CHECK(samples == 18);
}

TEST_CASE("indexed: a sample with a field twice costs itself; next and discard agree", "[unit][indexed]") {
    auto t = test::tar_maker{};
    t.add("a.txt", "1").add("b.txt", "1").add("b.txt", "2").add("c.txt", "3").end();
    test::temp_dir dir;
    auto const path = dir.write("s.tar", t.bytes);
    auto const make = [&] { return ps::shard_list({path}) | ps::indexed({.shuffle = false, .progress = {}}); };
    for (unsigned passed = 0; passed != 8; ++passed) {  // which of the three are discarded
        auto p = make();
        p.reset(0, 0);
        std::string events;
        for (unsigned i = 0; i != 4; ++i) {
            try {
                if ((passed >> i & 1) != 0) events += ps::discard(p.inner()) ? "+" : ".";
                else {
                    auto const s = p.next();
                    events += s ? "+" : ".";
                    if (i == 2 && s) CHECK(s->cover.count() == 2);
                }
            } catch (ps::lost_samples const& e) {
                CHECK(has(e.what(), "duplicate_field"));
                CHECK(has(e.what(), "'b' (id 1)"));
                events += "!";
            }
        }
        CHECK(events == "+!+.");
    }
}

TEST_CASE("indexed: shards and blocks that changed after the start are errors that say so", "[unit][indexed]") {
    auto const opened = ps::indexed_options{.shuffle = false, .progress = {}};
    SECTION("cut") {
        auto const disk = shards({6, 6});
        auto p = disk.plan() | ps::indexed(opened);
        CHECK(drain(p, 2).ids == std::vector<std::uint64_t>{0, 1});
        fs::resize_file(disk[0], fs::file_size(disk[0]) / 2);
        fs::resize_file(disk[1], 700);
        auto const rest = drain(p);
        CHECK(rest.errors.size() + rest.ids.size() == 10);
        CHECK(rest.errors.size() >= 8);
        CHECK(has(rest.errors.front(), "indexed: " + disk[0]));
        CHECK(has(rest.errors.back(), "indexed: " + disk[1] + " (id 11): the shard has 700 bytes, "));
        CHECK(has(rest.errors.back(), "HINT"));
    }
    SECTION("gone, and another one in its place") {
        auto const disk = shards({3, 3});
        auto p = disk.plan() | ps::indexed(opened);
        fs::remove(disk[0]);
        auto other = test::file_bytes(disk[1]);
        other[512] = 'x';
        disk.dir().write("s-1.tar", other);
        fs::last_write_time(disk[1], fs::last_write_time(disk[1]) + 1h);
        auto const got = drain(p);
        CHECK(got.ids.empty());
        CHECK(has(got.errors.at(0), disk[0] + " (id 0): "));
        CHECK(has(got.errors.at(0), "No such file"));
        CHECK(has(got.errors.at(3), disk[1] + " (id 3): the shard was changed after it was indexed; 1 sample is lost\n  HINT: shards must not change"));
    }
    SECTION("touched: nothing is lost of a shard that is not open, one sample of one that is") {
        auto const disk = shards({3, 3});
        auto p = disk.plan() | ps::indexed(opened);
        CHECK(drain(p, 1).ids == range(1));
        for (auto const& path : disk.names()) fs::last_write_time(path, fs::last_write_time(path) + 1h);
        auto const got = drain(p);
        CHECK(got.ids.size() >= 4);
        CHECK(got.ids.size() + got.errors.size() == 5);
        for (auto const& e : got.errors) CHECK(has(e, "written to while it was read"));
    }
    SECTION("overwritten at the same length while it is open: never a byte of the new one under the old name") {
        auto const disk = shards({40, 3});
        auto const bytes = test::file_bytes(disk[0]);
        fs::last_write_time(disk[0], fs::last_write_time(disk[0]) - 1h);
        auto p = disk.plan() | ps::indexed(opened);
        CHECK(drain(p, 2).ids.size() == 2);
        auto other = bytes;
        for (std::uint64_t id = 0; id != 40; ++id) other[other.find(shards::key(id) + ".cls") + 512] = '9';  // the headers stay as they are
        {
            auto f = std::fstream(disk[0], std::ios::in | std::ios::out | std::ios::binary);  // in place, as rsync --inplace does
            f << other;
        }
        auto const got = drain(p);
        CHECK(got.ids.size() <= 3 + 2);  // what lay in the window of before, and the other shard
        CHECK(has(got.errors.at(0), "the file was written to while it was read"));
        CHECK(has(got.errors.back(), "the shard was changed after it was indexed; 1 sample is lost\n  HINT: shards must not change"));
    }
    SECTION("an older block, before the start: scanned again") {
        auto const disk = shards({3});
        (void)(disk.plan() | ps::indexed(opened));
        disk.dir().write("s-0.tar", shards::tar(0, 5));
        fs::last_write_time(disk[0], fs::last_write_time(disk[0]) + 1h);
        auto p = disk.plan() | ps::indexed(opened);
        CHECK(drain(p).ids == range(5));
        CHECK(has(error_of<ps::config_error>([&] { (void)(disk.counted() | ps::indexed(opened)); }), "the plan says 3 samples, the shard has 5\n  HINT"));
    }
    SECTION("a block whose numbers were flipped") {
        auto const disk = shards({6});
        (void)(disk.plan() | ps::indexed(opened));
        auto const block = ps::shard_block::path_of(disk[0]);
        auto const bytes = test::file_bytes(block);
        auto bad = bytes;
        std::copy_n(bytes.begin() + 64 + 8 * 2, 8, bad.begin() + 64 + 8 * 4);  // sample 4 lies where sample 2 does
        patch(block, 0, bad);
        auto p = disk.plan() | ps::indexed(opened);
        auto const got = drain(p);
        CHECK(got.ids.empty());
        CHECK(has(got.errors.at(0), "the block is damaged: its checksum does not hold"));
        // after it was compared as a whole: what lies there is compared
        patch(block, 0, bytes);
        auto q = disk.plan() | ps::indexed(opened);
        CHECK(drain(q, 1).ids == range(1));
        patch(block, 0, bad);
        auto r = disk.plan() | ps::indexed(opened);
        patch(block, 0, bytes);
        CHECK(drain(r, 1).ids == range(1));
        patch(block, 0, bad);
        auto const rest = drain(r);
        for (auto const& e : rest.errors) CHECK(has(e, "index_mismatch"));
    }
}

TEST_CASE("indexed: a place that is wrong never yields another sample, and costs no other one", "[unit][indexed]") {
    auto const disk = shards({6});
    auto const now = *ps::shard_index::stat_of(disk[0]);
    auto const marks = ps::mark_samples(ps::io::open_file(disk[0]), false);
    auto const good = ps::shard_block::parse(ps::blob::own(marks.block.bytes(now, marks.end)), "good");
    std::vector<std::uint64_t> places;
    for (std::uint64_t i = 0; i <= 6; ++i) places.push_back(good.offset(i));
    for (std::uint64_t at = 0; at <= now.bytes; at += 512)
        for (std::size_t which = 0; which != 7; ++which) {
            auto wrong = places;
            wrong[which] = at;
            auto w = ps::shard_block::writer(false);
            for (std::size_t i = 0; i != 6; ++i) w.add(wrong[i], {});
            auto const bytes = w.bytes(now, wrong[6]);
            auto shard = ps::detail::tar_at_random(ps::io::open_file(disk[0]), std::make_shared<test::faulty_source>(bytes, "block"), {}, {});
            for (std::uint64_t i = 0; i != 6; ++i) try {
                    auto const s = shard.read(i);
                    REQUIRE(s.key() == shards::key(i));
                    if (which != i && which != i + 1) REQUIRE(s.bytes("png").size() == i * 37 % 1300);
                } catch (ps::stage_error const&) {
                    REQUIRE((which == i || which == i + 1));
                }
        }
}

TEST_CASE("indexed: verify compares every field with its checksum", "[unit][indexed]") {
    auto const disk = shards({5, 5});
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::indexed({.progress = {}, .verify = true})); }), "verify needs the checksums of every shard, and " + disk[0]));
    (void)ps::build_index(ps::shard_names::list(disk.names()), {.checksums = true});
    auto const at = test::file_bytes(disk[1]).find(shards::key(8) + ".cls") + 512;
    patch(disk[1], at, "9");
    auto p = disk.plan() | ps::indexed({.progress = {}, .verify = true});
    std::vector<std::string> errors;
    std::size_t good = 0;
    for (int i = 0; i != 10; ++i) try {
            good += p.next().has_value();
        } catch (ps::lost_samples const& e) {
            errors.push_back(e.what());
        }
    CHECK(good == 9);
    REQUIRE(errors.size() == 1);
    CHECK(has(errors[0], "bad_checksum: the 1 byte of field 'cls'"));
    CHECK(has(errors[0], "(id 8)"));
}

TEST_CASE("indexed: shards of the writer, pax names, no end marker, a global header", "[unit][indexed]") {
    test::temp_dir dir;
    auto t = test::tar_maker{};
    auto const name = std::string(150, 'n');
    auto const record = test::tar_maker::pax("path", name + ".txt");
    t.add("a.txt", "1").add("PaxHeaders/x", record, 'x').add("short.txt", "2").add("c.txt", "3");
    auto const path = dir.write("s.tar", t.bytes);
    CHECK(has(error_of<ps::config_error>([&] { (void)(ps::shard_list({path}) | ps::indexed(quiet())); }), "missing_end"));
    auto p = ps::shard_list({path}) | ps::indexed({.shuffle = false, .allow = {.missing_end = true}, .progress = {}, .notes = {}});
    std::string keys;
    while (auto s = p.next()) keys += s->key.substr(0, 2) + std::string(s->value.text("txt"));
    CHECK(keys == "a1nn2c3");
    auto g = test::tar_maker{};
    g.add("pax_global_header", test::tar_maker::pax("comment", "x"), 'g').add("a.txt", "1").end();
    auto const global = dir.write("g.tar", g.bytes);
    for (int round = 0; round != 2; ++round)
        CHECK(has(error_of<ps::config_error>([&] { (void)(ps::shard_list({global}) | ps::indexed(quiet())); }), global + ": a global pax header speaks for the members behind it"));
}

TEST_CASE("indexed: a missing shard, no samples, wrong options stop the build", "[unit][indexed]") {
    auto const disk = shards({2});
    CHECK(has(error_of<ps::config_error>([&] { (void)(ps::shard_list({disk[0], "/nowhere/a.tar"}) | ps::indexed(quiet())); }), "/nowhere/a.tar: no such file\n  HINT"));
    CHECK(has(error_of<ps::config_error>([&] { (void)(shards({0}).plan() | ps::indexed(quiet())); }), "at least one sample"));
    CHECK(has(error_of<ps::config_error>([] { (void)ps::indexed({.index_threads = 0}); }), "index_threads must be >= 1, got 0\n  HINT"));
    CHECK(has(error_of<ps::config_error>([] { (void)ps::indexed({.open_shards = 0}); }), "open_shards must be >= 1, got 0\n  HINT"));
    disk.dir().write("t.tar", shards::tar(0, 4).substr(0, 3000));
    CHECK(has(error_of<ps::config_error>([&] { (void)(ps::shard_list({disk.dir().path("t.tar")}) | ps::indexed(quiet())); }), "; or take it off the list"));
}

TEST_CASE("indexed: at most open_shards are open, and one that is opened again does not read its whole block again", "[unit][indexed][no_tsan]") {
    auto const disk = shards(std::vector<std::uint64_t>(6, 2000));
    (void)ps::build_index(ps::shard_names::list(disk.names()));
    std::map<std::string, std::weak_ptr<test::faulty_source>> last;
    std::vector<std::shared_ptr<test::faulty_source>> blocks;
    auto copies = std::map<std::string, std::string>{};
    auto const io = [&](std::string const& path) {
        auto& bytes = copies[path];
        if (bytes.empty()) bytes = test::file_bytes(path);
        auto s = std::make_shared<test::faulty_source>(bytes, path);
        last[path] = s;
        if (path.ends_with(".block")) blocks.push_back(s);
        return s;
    };
    auto p = disk.plan() | ps::indexed({.open_shards = 2, .io = io, .index_threads = 1, .progress = {}});
    p.reset(3, 0);
    for (int i = 0; i != 600; ++i) REQUIRE(p.next());
    std::size_t open = 0;
    for (auto const& [path, source] : last) open += !path.ends_with(".block") && !source.expired();
    CHECK(open == 2);
    CHECK(blocks.size() > 100);
    CHECK(std::count_if(blocks.begin(), blocks.end(), [](auto const& b) { return b->bytes_read > 2000 * 8; }) == 6);
}

TEST_CASE("indexed: a data set that was copied is read by its blocks, with their checksums, and remembered anew", "[unit][indexed]") {
    auto const disk = shards({9, 0, 12});
    (void)ps::build_index(ps::shard_names::list(disk.names()), {.checksums = true});
    for (auto const& path : disk.names()) fs::last_write_time(path, fs::last_write_time(path) + 1h);
    auto verified = disk.plan() | ps::indexed({.scan = ps::scan_shards::never, .verify = true});
    CHECK(sorted(drain(verified).ids) == range(21));
    auto const before = test::file_bytes(ps::shard_block::path_of(disk[0]));
    auto held = disk.plan() | ps::indexed({.open_shards = 1, .write_index = false, .scan = ps::scan_shards::never});
    CHECK(sorted(drain(held).ids) == range(21));
    CHECK(test::file_bytes(ps::shard_block::path_of(disk[0])) == before);
    auto p = disk.plan() | ps::indexed({.scan = ps::scan_shards::never});
    CHECK(sorted(drain(p).ids) == range(21));
    auto const now = *ps::shard_index::stat_of(disk[0]);
    auto const block = ps::shard_block::read(disk[0], ps::io::file_opener(), now.bytes, &now);
    CHECK(block.shard().mtime_ns == now.mtime_ns);
    CHECK(block.has_checksums());
}

TEST_CASE("indexed: a foreign file under the name of an index or a block stops the build, and stays", "[unit][indexed]") {
    auto const disk = shards({3});
    auto const index = disk.dir().write(".penstock-index", "my notes");
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::indexed(quiet())); }), index + ": this is no index of penstock"));
    fs::remove(index);
    fs::create_directory(disk.dir().path(".penstock-index.d"));
    auto const block = disk.dir().write(".penstock-index.d/s-0.tar.block", "my notes");
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::indexed(quiet())); }), block + ": this is no block of penstock"));
    auto p = disk.plan() | ps::indexed({.write_index = false, .progress = {}});
    CHECK(sorted(drain(p).ids) == range(3));
    CHECK(test::file_bytes(block) == "my notes");
}

TEST_CASE("indexed: hundreds of open shards share a few descriptors, and a low limit of open files is enough", "[unit][indexed]") {
    auto const disk = shards(std::vector<std::uint64_t>(90, 4));
    auto const open_now = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{}); };
    auto const before = open_now();
    auto p = disk.plan() | ps::indexed(quiet());
    auto q = disk.plan() | ps::indexed(quiet());
    p.reset(1, 0);
    q.reset(2, 0);
    CHECK(drain(p, 300).ids.size() == 300);
    CHECK(open_now() - before <= 64);
    auto limit = ::rlimit{}, small = ::rlimit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    small = limit;
    small.rlim_cur = static_cast<::rlim_t>(before) + 8;
    ::setrlimit(RLIMIT_NOFILE, &small);
    auto const rest = drain(p), all = drain(q);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(rest.errors.empty());
    CHECK(rest.ids.size() == 60);
    CHECK(all.errors.empty());
    CHECK(sorted(all.ids) == range(360));
}

TEST_CASE("indexed: a state over other data, another order or another part is refused", "[unit][indexed]") {
    auto const disk = shards({5, 6});
    auto const saved = (disk.plan() | ps::indexed(quiet())).save();
    auto const refused = [&](auto p) {
        auto const text = error_of<ps::state_error>([&] { p.load(saved); });
        CHECK(has(text, "HINT"));
        return text;
    };
    CHECK(has(refused(disk.plan() | ps::indexed({.shuffle = false, .progress = {}})), "load: indexed: the state was saved with shuffle 1, this one has 0"));
    CHECK(has(refused(shards({5, 7}).plan() | ps::indexed(quiet())), "of shard 1"));
    CHECK(has(refused(disk.plan() | ps::split_by_rank({0, 2}) | ps::indexed(quiet())), "world size 1, this plan has 2"));
    CHECK(has(refused(disk.plan({.part = ps::part::train, .hold_out = 0.5}) | ps::indexed(quiet())), "reads the train part"));
    CHECK(has(refused(disk.plan() | ps::read_tar()), "indexed"));
    auto damaged = saved.text();
    damaged.replace(damaged.find(" at=0"), 5, " at=99");
    auto same = disk.plan() | ps::indexed(quiet());
    CHECK(has(error_of<ps::state_error>([&] { same.load(ps::state::parse(damaged)); }), "it stands at 99 of 11"));
}

TEST_CASE("indexed: a blocked read ends when the run is stopped, and nothing is lost", "[unit][indexed]") {
    auto const disk = shards({6});
    (void)ps::build_index(ps::shard_names::list(disk.names()));
    auto slow = std::make_shared<std::atomic<bool>>(false);
    auto const io = [slow](std::string const& path) {
        auto s = std::make_shared<test::faulty_source>(test::file_bytes(path), path);
        if (slow->load()) s->delay = 1h;
        return s;
    };
    auto p = disk.plan() | ps::indexed({.open_shards = 1, .io = io, .progress = {}});
    p.reset(0, 0);
    *slow = true;
    std::stop_source stop;
    p.attach(stop.get_token());
    auto const before = p.save();
    auto stopping = std::jthread([&] {
        std::this_thread::sleep_for(50ms);
        stop.request_stop();
    });
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    stopping.join();
    CHECK(p.save() == before);
    *slow = false;
    p.attach(std::stop_token{});
    CHECK(drain(p).ids.size() == 6);
}

TEST_CASE("indexed: says which samples each rank reads", "[unit][indexed]") {
    auto const disk = shards({5, 6});
    auto p = disk.plan() | ps::split_by_rank({0, 3}) | ps::indexed(quiet());
    CHECK(ps::describe_plan(p) ==
          "epoch 0: 11 samples from 2 shards on 3 ranks, 3 or 4 each\n"
          "rank 0: 4 samples, numbers 0, 3, ... of an order over all shards\n"
          "rank 1: 4 samples, numbers 1, 4, ... of an order over all shards\n"
          "rank 2: 3 samples, numbers 2, 5, ... of an order over all shards\n");
}
