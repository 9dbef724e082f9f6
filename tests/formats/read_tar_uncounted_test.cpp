#include <penstock/formats/read_tar_uncounted.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/count.hpp>
#include <penstock/stages/shuffle.hpp>

#include <support/battery.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace fs = std::filesystem;
namespace test = penstock::test;
using test::error_of;

namespace {

std::string tar(std::uint64_t first, std::uint64_t n) {
    auto t = test::tar_maker{};
    for (auto id = first; id != first + n; ++id) t.add(ps::message("n", 100000 + id, ".cls"), std::to_string(id));
    return t.end().bytes;
}
/// Shards whose samples hold their id.
struct shards {
    test::temp_dir dir{};
    std::vector<std::string> names{};
    std::uint64_t all = 0;

    explicit shards(std::vector<std::uint64_t> const& sizes) {
        for (auto n : sizes) {
            names.push_back(dir.write(ps::message("s-", names.size(), ".tar"), tar(all, n)));
            all += n;
        }
    }
    auto open(std::uint32_t rank, std::uint32_t world, int* scanned = nullptr, ps::read_tar_options o = {}) const {
        o.progress = [scanned](ps::shard_progress const& p) {
            if (scanned && p.done == p.shards) *scanned += static_cast<int>(p.shards);
        };
        return ps::shard_list(names) | ps::shuffle_shards() | ps::split_by_rank({rank, world}) | ps::read_tar(ps::count_mode::unknown, o);
    }
    std::uint64_t indexed() const { return ps::shard_index::read(dir.path() + "/").size(); }
};
template <class P>
std::vector<std::uint64_t> rest(P& p) {
    std::vector<std::uint64_t> ids;
    while (auto s = p.next()) ids.push_back(static_cast<std::uint64_t>(s->value.integer("cls")));
    return ids;
}
std::vector<std::uint64_t> sorted(std::vector<std::uint64_t> v) {
    std::sort(v.begin(), v.end());
    return v;
}
std::vector<std::uint64_t> range(std::uint64_t end) {
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i != end; ++i) out.push_back(i);
    return out;
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("read_tar of unknown counts: the first epoch deals whole shards and writes the index, the second is exact and scans nothing", "[unit][read_tar]") {
    ps::random_stream draw(41, 0, 0);
    for (int round = 0; round != 16; ++round) {
        std::vector<std::uint64_t> sizes(1 + draw.below(9));
        for (auto& n : sizes) n = draw.chance(0.2) ? 0 : draw.below(25);
        sizes.front() += 1;
        auto const disk = shards(sizes);
        auto const world = 1 + draw.below(5);
        int scanned = 0;
        std::vector<decltype(disk.open(0, 1))> ranks;
        for (std::uint32_t r = 0; r != world; ++r) ranks.push_back(disk.open(r, world, &scanned));
        CHECK(disk.indexed() == 0);
        CHECK_FALSE(fs::exists(disk.dir.path(".penstock-index")));
        std::vector<std::uint64_t> ids, unique, positions;
        for (auto& p : ranks) {
            p.reset(7, 0);
            CHECK(p.world_max() == std::nullopt);
            while (auto s = p.next()) {
                CHECK(p.hint().upper.value_or(1) <= 1);
                ids.push_back(static_cast<std::uint64_t>(s->value.integer("cls")));
                unique.push_back(s->id);
                s->cover.each([&](ps::interval i) { positions.push_back(i.begin); });
            }
            CHECK(p.hint() == ps::size_hint{0, 0});
            CHECK_FALSE(p.next());
        }
        CHECK(sorted(ids) == range(disk.all));
        for (auto* some : {&unique, &positions}) CHECK(std::set<std::uint64_t>(some->begin(), some->end()).size() == disk.all);
        CHECK(disk.indexed() == sizes.size());
        for (std::uint64_t e = 1; e != 3; ++e) {
            ids.clear();
            for (std::uint32_t r = 0; r != world; ++r) {
                ranks[r].reset(7, e);
                CHECK(ranks[r].world_max() == (disk.all + world - 1) / world);
                auto exact = ps::shard_list(disk.names) | ps::shuffle_shards() | ps::split_by_rank({r, world}) | ps::read_tar();
                exact.reset(7, e);
                auto const mine = rest(ranks[r]);
                CHECK(mine == rest(exact));
                ids.insert(ids.end(), mine.begin(), mine.end());
            }
            CHECK(sorted(ids) == range(disk.all));
        }
        CHECK(scanned == 0);
        auto again = disk.open(0, world);  // the next run: exact from the beginning
        CHECK(again.world_max() == (disk.all + world - 1) / world);
    }
}

TEST_CASE("read_tar of unknown counts: the example of its comment", "[unit][read_tar]") {
    test::temp_dir dir;
    dir.write("train-000.tar", tar(0, 4));
    dir.write("train-001.tar", tar(4, 3));
    struct there {
        fs::path back = fs::current_path();
        ~there() { fs::current_path(back); }
    } const guard;
    fs::current_path(dir.path());
    // example-begin read_tar_uncounted
    auto samples = ps::shard_list("train-{000..001}.tar") | ps::shuffle_shards() | ps::read_tar(ps::count_mode::unknown);
    // example-end read_tar_uncounted
    CHECK((std::move(samples) | ps::count()) == 7);
}

TEST_CASE("read_tar of unknown counts: source contract", "[unit][read_tar]") {
    static std::map<int, std::unique_ptr<shards>> disks;
    auto const disk = [](int n) -> shards& {
        auto& d = disks[n];
        auto const all = static_cast<std::uint64_t>(n);
        if (!d) d = std::make_unique<shards>(std::vector<std::uint64_t>{all / 2, 0, all - all / 2});
        return *d;
    };
    // nothing is written, so that every case begins without counts
    auto make = [=](int n, ps::world w) { return ps::shard_list(disk(n).names) | ps::split_by_rank(w) | ps::read_tar(ps::count_mode::unknown, {.write_index = false, .progress = {}}); };
    auto model = [](int n, test::facts const& f) {
        auto const all = static_cast<std::uint64_t>(n);
        auto const counts = std::vector<std::uint64_t>{all / 2, 0, all - all / 2};
        std::vector<std::string> out;
        if (f.epoch.index == 0)
            for (std::uint64_t s = 0, first = 0; s != 3; first += counts[s++])
                for (std::uint64_t i = 0; i != counts[s]; ++i) {
                    if (s % f.world.size == f.world.rank) out.push_back(std::to_string(first + i));
                }
        else for (auto at = ps::share_of(f.world.rank, all, f.world.size); at != ps::share_of(f.world.rank + 1, all, f.world.size); ++at) out.push_back(std::to_string(at));
        return out;
    };
    struct show {
        std::string operator()(ps::sample const& s) const { return std::string(s.value.text("cls")); }
        std::string operator()(std::string const& s) const { return s; }
    };
    auto broken = [=](int n, int j) {
        static test::temp_dir const dir;
        auto bytes = tar(0, static_cast<std::uint64_t>(n));
        bytes.insert(bytes.find(ps::message("n", 100000 + j)) + 1024, test::tar_maker{}.add(ps::message("n", 100000 + j, ".cls"), "again").bytes);
        auto const path = dir.write("s.tar", bytes);
        return ps::shard_list({path}) | ps::read_tar(ps::count_mode::unknown, {.write_index = false, .progress = {}});
    };
    test::battery(test::source_case{.name = "read_tar", .make = make, .model = model, .broken = broken, .show = show{}, .sizes = {1, 2, 7, 64}});
}

TEST_CASE("read_tar of unknown counts: resumes at every position and over the first epoch's end, also when all was counted meanwhile", "[unit][read_tar]") {
    auto const disk = shards({4, 0, 7, 3, 5});
    auto const trace = [](auto& p, std::vector<ps::state>* states) {
        std::vector<std::uint64_t> ids;
        while (true) {
            if (states) states->push_back(p.save());
            if (auto s = p.next()) ids.push_back(static_cast<std::uint64_t>(s->value.integer("cls")));
            else if (p.current().index == 2) return ids;
            else {
                ids.push_back(999);
                p.reset(4, p.current().index + 1);
            }
        }
    };
    for (std::uint32_t const rank : {0u, 1u}) {
        fs::remove(disk.dir.path(".penstock-index"));
        auto p = disk.open(rank, 2);
        p.reset(4, 0);
        std::vector<ps::state> states;
        auto const whole = trace(p, &states);
        for (bool const counted : {false, true}) {
            for (std::size_t k = 0; k != states.size(); ++k) {
                if (!counted) fs::remove(disk.dir.path(".penstock-index"));
                auto q = disk.open(rank, 2);
                q.load(ps::state::parse(states[k].text()));
                CHECK(q.save() == states[k]);
                REQUIRE(trace(q, nullptr) == std::vector(whole.begin() + static_cast<std::ptrdiff_t>(k), whole.end()));
            }
        }
        CHECK(states.front().text().size() < 400);
        auto q = disk.open(rank, 2);  // counted by now
        CHECK(q.world_max());
        q.load(states[2]);
        q.reset(4, 0);  // the epoch that was begun, from its start
        CHECK_FALSE(q.world_max());
        CHECK(trace(q, nullptr) == whole);
    }
    auto p = disk.open(0, 2) | ps::shuffle(5) | ps::batch(3);
    p.reset(1, 1);
    for (int k = 0; k != 3; ++k) {
        auto q = disk.open(0, 2) | ps::shuffle(5) | ps::batch(3);
        q.load(p.save());
        CHECK(p.next()->ids == q.next()->ids);
    }
}

TEST_CASE("read_tar of unknown counts: what is killed in the first epoch has indexed the shards it finished, and the rest is scanned in time", "[unit][read_tar]") {
    auto const disk = shards({3, 3, 3});
    {
        auto p = disk.open(0, 1);
        p.reset(0, 0);
        for (int i = 0; i != 4; ++i) CHECK(p.next());  // one shard, and one of the next
    }
    CHECK(disk.indexed() == 1);
    int scanned = 0;
    auto q = disk.open(0, 1, &scanned);
    q.reset(0, 1);
    CHECK(scanned == 2);
    CHECK(sorted(rest(q)) == range(9));
    CHECK(disk.indexed() == 3);
}

TEST_CASE("read_tar of unknown counts: another world is refused in the first epoch and exact in the others", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 5});
    auto p = disk.open(0, 2);
    p.reset(3, 0);
    ps::ledger used;
    used.commit(*p.next());
    auto q = disk.open(0, 3);
    auto const text = error_of<ps::state_error>([&] { q.reset(ps::epoch::of(3, 0), used); });
    CHECK(has(text, "resume in another world: the first epoch of shards that nobody counted deals whole shards, and what was used of it means nothing to other ranks"));
    CHECK(has(text, "HINT: finish it with resume::required and as many ranks as began it"));
    CHECK(has(error_of<ps::state_error>([&] { q.load(p.save()); }), "saved with world 2, this plan has 3"));
    auto other = disk.open(1, 2);
    CHECK(has(error_of<ps::state_error>([&] { other.load(p.save()); }), "saved with rank 0, this plan has 1"));
    auto renamed = ps::shard_list({disk.names[1], disk.names[0], disk.names[2]}) | ps::shuffle_shards() | ps::split_by_rank({0, 2}) | ps::read_tar(ps::count_mode::unknown);
    CHECK(has(error_of<ps::state_error>([&] { renamed.load(p.save()); }), "other names of shards"));
    ps::ledger second;
    std::vector<std::uint64_t> ids;
    for (std::uint32_t r = 0; r != 2; ++r) {
        auto one = disk.open(r, 2);
        one.reset(3, 1);
        for (std::uint32_t i = 0; i != 2 + r; ++i) {
            auto s = one.next();
            ids.push_back(s->id);
            second.commit(*s);
        }
    }
    for (std::uint32_t r = 0; r != 3; ++r) {
        auto one = disk.open(r, 3);
        one.reset(ps::epoch::of(3, 1), second);
        while (auto s = one.next()) ids.push_back(s->id);
    }
    CHECK(sorted(ids) == range(15));
}

TEST_CASE("read_tar of unknown counts: what ranks used of the first epoch stays refused when all was counted meanwhile", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 5});
    ps::ledger used, of_turn_0;
    std::vector<std::uint64_t> ids;
    for (std::uint32_t r = 0; r != 2; ++r) {
        auto p = disk.open(r, 2);
        p.reset(3, 0);
        for (int i = 0; i != 2; ++i) {
            auto s = p.next();
            used.commit(*s);
            if (r != 0) continue;
            of_turn_0.commit(*s);
            ids.push_back(static_cast<std::uint64_t>(s->value.integer("cls")));
        }
    }
    auto const counted = ps::shard_list(disk.names) | ps::read_tar();
    REQUIRE(disk.indexed() == 3);
    for (std::uint32_t world : {1u, 2u, 3u}) {
        auto q = disk.open(0, world);
        auto const text = error_of<ps::state_error>([&] { q.reset(ps::epoch::of(3, 0), used); });
        CHECK(has(text, "the first epoch of shards that nobody counted deals whole shards"));
        CHECK(has(text, "HINT: finish it with resume::required and as many ranks as began it"));
        q.reset(ps::epoch::of(3, 0), of_turn_0);
        if (world != 1) continue;
        auto const others = rest(q);
        ids.insert(ids.end(), others.begin(), others.end());
        CHECK(sorted(ids) == range(15));
    }
}

TEST_CASE("read_tar of unknown counts: damage is named, costs the rest of its shard, and is not indexed", "[unit][read_tar]") {
    auto const disk = shards({5, 5});
    fs::resize_file(disk.names[1], 512 * 5);
    for (auto const how : {ps::damaged_shards::refuse, ps::damaged_shards::read_up_to}) {
        auto p = ps::shard_list(disk.names) | ps::read_tar(ps::count_mode::unknown, {.damaged = how, .progress = {}});
        p.reset(0, 0);
        std::vector<std::string> errors;
        std::size_t good = 0;
        while (true) try {
                if (!p.next()) break;
                ++good;
            } catch (ps::lost_samples const& e) {
                errors.push_back(e.what());
            }
        CHECK(good == 7);
        REQUIRE(errors.size() == 1);
        CHECK(has(errors[0], "read_tar: " + disk.names[1]));
        CHECK(has(errors[0], "; the rest of the shard is lost\n  HINT"));
        CHECK(p.trailing().count() == 1);
        CHECK(p.stats().at(0).errors == 1);
        CHECK(disk.indexed() <= 1);
        if (how == ps::damaged_shards::refuse) CHECK(has(error_of<ps::config_error>([&] { p.reset(0, 1); }), disk.names[1]));
        else {
            p.reset(0, 1);
            CHECK(p.world_max() == 8);
        }
    }
}

TEST_CASE("read_tar of unknown counts: what needs counts is refused", "[unit][read_tar]") {
    auto const disk = shards({2, 2});
    auto const refusal = [&](ps::shard_list_options const& o) { return error_of<ps::config_error>([&] { (void)(ps::shard_list(disk.names, o) | ps::read_tar(ps::count_mode::unknown)); }); };
    CHECK(has(refusal({.samples_per_shard = 2}), "has counts already\n  HINT"));
    CHECK(has(refusal({.samples_per_epoch = 2}), "need to know how many samples there are\n  HINT"));
    CHECK(has(refusal({.repeat = 2}), "need to know how many samples there are\n  HINT"));
    CHECK(has(refusal({.part = ps::part::val, .hold_out = 0.5}), "the val part (hold_out 0.5) cannot be told before the shards are counted\n  HINT"));
    CHECK(has(error_of<ps::config_error>([] { (void)(ps::shard_list({"/nowhere.tar"}) | ps::read_tar(ps::count_mode::unknown)); }), "/nowhere.tar: no such file\n  HINT"));
    CHECK(has(error_of<ps::config_error>([] { (void)ps::read_tar(ps::count_mode::unknown, {.count_threads = 0}); }), "got 0"));
}

TEST_CASE("read_tar of unknown counts: says which shards each rank reads", "[unit][read_tar]") {
    auto const disk = shards({2, 3, 4});
    auto p = disk.open(0, 4);
    CHECK(ps::describe_plan(p) == "epoch 0: 3 shards on 4 ranks, of which nobody knows how many samples they hold\nrank 0: 1 whole shard\nrank 1: 1 whole shard\nrank 2: 1 whole shard\nrank 3: no shard\n");
    p.reset(0, 1);
    CHECK(has(ps::describe_plan(p), "epoch 1: 9 samples from 3 shards on 4 ranks"));
}
