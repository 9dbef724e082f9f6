#include <penstock/formats/read_tar.hpp>
#include <penstock/formats/build_index.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/count.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>

#include <support/battery.hpp>
#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using test::error_of;
using namespace std::chrono_literals;

namespace {

/// Shards on disk whose samples say who they are: cls holds the id.
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
            t.add(key(id) + ".cls", std::to_string(id));
            t.add(key(id) + ".png", std::string(id * 37 % 1300, static_cast<char>('a' + id % 26)));
        }
        if (end) t.end();
        return t.bytes;
    }
    static std::string key(std::uint64_t id) { return ps::message("n", 100000 + id); }

    std::vector<std::string> const& names() const { return names_; }
    std::string const& operator[](std::size_t i) const { return names_[i]; }
    void write(std::size_t i, std::string const& bytes) const { dir_.write(std::filesystem::path(names_[i]).filename().string(), bytes); }
    ps::shard_plan plan(ps::shard_list_options const& o = {}) const { return ps::shard_list(names_, o); }
    ps::shard_list_options known(ps::shard_list_options o = {}) const {
        o.counts = sizes_;
        return o;
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
outcome drain(P& p) {
    outcome out;
    while (true) {
        try {
            auto s = p.next();
            if (!s) return out;
            REQUIRE(static_cast<std::uint64_t>(s->value.integer("cls")) == s->id);
            REQUIRE(s->key == shards::key(s->id));
            REQUIRE(s->value.bytes("png").size() == s->id * 37 % 1300);
            out.ids.push_back(s->id);
            out.covered += s->cover.count();
        } catch (ps::lost_samples const& e) {
            out.errors.push_back(e.what());
        }
    }
}
std::vector<std::uint64_t> range(std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint64_t> out;
    for (; begin != end; ++begin) out.push_back(begin);
    return out;
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }
/// Serves shards from memory; a test says how each behaves.
struct memory {
    std::map<std::string, std::shared_ptr<test::faulty_source>> sources;
    std::map<std::string, std::string> bytes;
    std::function<void(std::string const&, test::faulty_source&)> prepare = [](auto const&, auto&) {};

    ps::io::opener opener() {
        return [this](std::string const& path) {
            auto const found = bytes.find(path);
            if (found == bytes.end()) throw ps::stage_error("open", ps::fault::io, ps::place{path, {}, {}, {}}, "permission denied", "chmod");
            auto s = std::make_shared<test::faulty_source>(found->second, path);
            prepare(path, *s);
            sources[path] = s;
            return s;
        };
    }
};

}  // namespace

TEST_CASE("read_tar: every sample once and equal shares on real tars, counted by a scan, from what was delivered", "[unit][read_tar]") {
    ps::random_stream draw(21, 0, 0);
    for (int round = 0; round != 24; ++round) {
        std::vector<std::uint64_t> sizes(1 + draw.below(12));
        for (auto& n : sizes) n = draw.chance(0.25) ? 0 : draw.below(40);
        sizes.front() += 1;
        auto const disk = shards(sizes);
        std::uint64_t all = 0;
        for (auto n : sizes) all += n;
        auto const world = 1 + draw.below(9);
        auto const shuffled = draw.chance(0.7);
        std::vector<std::uint64_t> first_order;
        for (std::uint64_t e = 0; e != 2; ++e) {
            std::vector<std::uint64_t> order;
            std::uint64_t most = 0;
            for (std::uint32_t r = 0; r != world; ++r) {
                auto plan = disk.plan() | ps::split_by_rank({r, world});
                if (shuffled) plan = plan | ps::shuffle_shards();
                auto p = plan | ps::read_tar();
                p.reset(6, e);
                CHECK(p.world_max() == (all + world - 1) / world);
                auto const got = drain(p);
                REQUIRE(got.errors.empty());
                REQUIRE(got.covered == got.ids.size());
                most = (std::max)(most, std::uint64_t{got.ids.size()});
                order.insert(order.end(), got.ids.begin(), got.ids.end());
            }
            CHECK(most == (all + world - 1) / world);
            auto sorted = order;
            std::sort(sorted.begin(), sorted.end());
            REQUIRE(sorted == range(0, all));
            if (!shuffled) CHECK(order == sorted);
            first_order.empty() ? first_order.swap(order) : order.swap(first_order);
        }
    }
}

TEST_CASE("read_tar: a part that is held out and the rest are every sample once, with and without blocks to jump by", "[unit][read_tar]") {
    auto const disk = shards({300, 0, 41, 900});
    for (bool const blocks : {false, true}) {
        if (blocks) (void)ps::build_index(ps::shard_names::list(disk.names()));
        std::vector<std::uint64_t> all;
        for (auto const which : {ps::part::train, ps::part::val})
            for (std::uint32_t r = 0; r != 3; ++r) {
                auto p = disk.plan({.part = which, .hold_out = 0.04}) | ps::shuffle_shards() | ps::split_by_rank({r, 3}) | ps::read_tar();
                p.reset(3, 1);
                auto const most = p.world_max();
                auto const got = drain(p);
                CHECK(got.errors.empty());
                CHECK(got.ids.size() + 1 >= *most);
                CHECK(got.ids.size() <= *most);
                CHECK(got.covered == got.ids.size());
                if (which == ps::part::val) CHECK(got.ids.size() < 20);
                all.insert(all.end(), got.ids.begin(), got.ids.end());
            }
        std::sort(all.begin(), all.end());
        CHECK(all == range(0, 1241));
    }
}

TEST_CASE("read_tar: source contract", "[unit][read_tar][no_tsan]") {
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
    for (bool const shuffled : {false, true}) {
        auto const plan = [&](int n, ps::world w) {
            auto p = disk(n).plan() | ps::split_by_rank(w);
            return shuffled ? p | ps::shuffle_shards() : p;
        };
        auto make = [plan](int n, ps::world w) { return plan(n, w) | ps::read_tar(); };
        auto model = [plan](int n, test::facts const& f) {
            auto line = ps::line(plan(n, f.world).with_counts(disks.at(n)->known().counts));
            std::vector<std::string> out;
            auto const window = line.window(f.epoch.index);
            for (auto const mine : ps::cut(std::span(&window, 1), f.world))
                for (auto at = mine.begin; at != mine.end; ++at) {
                    auto const run = line.find(f.epoch.key, at);
                    out.push_back(ps::message(line.plan().first_id(run.shard) + run.sample, '/', run.pass));
                }
            return out;
        };
        auto broken = [plan, disk](int n, int j) {
            // the size field of sample j in a copy of the shards
            auto copy = std::make_shared<std::map<std::string, std::string>>();
            auto counts = disk(n).known().counts;
            for (auto const& name : disk(n).names()) {
                auto bytes = test::file_bytes(name);
                if (auto const at = bytes.find(shards::key(static_cast<std::uint64_t>(j)) + ".png"); at != bytes.npos) bytes[at + 124] = 'x';
                copy->emplace(name, bytes);
            }
            return plan(n, {}).with_counts(counts) | ps::read_tar({.io = [copy](std::string const& path) { return std::make_shared<test::faulty_source>(copy->at(path), path); }});
        };
        test::battery(test::source_case{.name = "read_tar", .make = make, .model = model, .broken = broken, .show = show_id{}, .sizes = {1, 2, 7, 64}});
    }
}

TEST_CASE("read_tar: the example of its comment", "[unit][read_tar]") {
    test::temp_dir dir;
    dir.write("train-000.tar", shards::tar(0, 4));
    dir.write("train-001.tar", shards::tar(4, 3));
    struct there {
        std::filesystem::path back = std::filesystem::current_path();
        ~there() { std::filesystem::current_path(back); }
    } const guard;
    std::filesystem::current_path(dir.path());
    // example-begin read_tar
    auto samples = ps::shard_list("train-{000..001}.tar") | ps::shuffle_shards() | ps::read_tar();
    // example-end read_tar
    CHECK((std::move(samples) | ps::count()) == 7);
}

TEST_CASE("read_tar: through shuffle, map and batch every rank has the same number of batches, and every sample comes once", "[unit][read_tar]") {
    ps::random_stream draw(22, 0, 0);
    for (int round = 0; round != 24; ++round) {
        std::vector<std::uint64_t> sizes(1 + draw.below(10));
        for (auto& n : sizes) n = draw.chance(0.25) ? 0 : draw.below(30);
        sizes.back() += 1;
        auto const disk = shards(sizes);
        std::uint64_t all = 0;
        for (auto n : sizes) all += n;
        auto const world = 1 + draw.below(7);
        auto const b = 1 + draw.below(20);
        auto const window = 1 + draw.below(40);
        std::vector<std::uint64_t> ids;
        for (std::uint32_t r = 0; r != world; ++r) {
            auto const make = [&] {
                return disk.plan() | ps::shuffle_shards() | ps::split_by_rank({r, world}) | ps::read_tar() | ps::shuffle(window)
                     | ps::map([](ps::fields const& f) { return f.integer("cls"); }) | ps::batch(b);
            };
            auto p = make();
            p.reset(3, 1);
            auto const stop = draw.below(8);
            std::uint64_t batches = 0, covered = 0;
            std::optional<ps::state> saved;
            std::vector<std::uint64_t> tail;
            while (true) {
                if (batches == stop) saved = p.save(), tail.clear();
                auto one = p.next();
                if (!one) break;
                ++batches;
                REQUIRE(one->items.size() == one->ids.size());
                for (std::size_t i = 0; i != one->ids.size(); ++i) REQUIRE(static_cast<std::uint64_t>(one->items[i]) == one->ids[i]);
                ids.insert(ids.end(), one->ids.begin(), one->ids.end());
                tail.insert(tail.end(), one->ids.begin(), one->ids.end());
                covered += one->cover.count();
            }
            auto const share = (r + 1) * all / world - r * all / world;
            REQUIRE(batches == ((all + world - 1) / world + b - 1) / b);
            REQUIRE(covered == share);
            if (!saved) continue;
            auto q = make();
            q.load(*saved);
            std::vector<std::uint64_t> again;
            while (auto one = q.next()) again.insert(again.end(), one->ids.begin(), one->ids.end());
            REQUIRE(again == tail);
        }
        std::sort(ids.begin(), ids.end());
        REQUIRE(ids == range(0, all));
    }
}

TEST_CASE("read_tar: resumes at every position and over the epoch's edge", "[unit][read_tar]") {
    auto const disk = shards({7, 0, 5, 9});
    auto const make = [&] { return disk.plan() | ps::shuffle_shards() | ps::split_by_rank({1, 2}) | ps::read_tar(); };
    auto p = make();
    p.reset(1, 0);
    std::vector<std::uint64_t> whole;
    std::vector<ps::state> states;
    auto const run = [](auto& q, std::vector<ps::state>* keep) {
        std::vector<std::uint64_t> ids;
        while (true) {
            if (keep) keep->push_back(q.save());
            if (auto s = q.next()) ids.push_back(s->id);
            else if (q.current().index == 1) return ids;
            else q.reset(1, 1);
        }
    };
    whole = run(p, &states);
    CHECK(states.back().text().size() < 600);
    std::size_t pulled = 0;
    for (std::size_t k = 0; k != states.size(); ++k) {
        auto q = make();
        q.load(states[k]);
        REQUIRE(run(q, nullptr) == std::vector(whole.begin() + static_cast<std::ptrdiff_t>(pulled), whole.end()));
        if (k + 1 != states.size() && !(states[k].records[0] == states[k + 1].records[0])) continue;  // the reset between epochs
        ++pulled;
    }
}

TEST_CASE("read_tar: what was counted is remembered beside the shards, and checked before it is believed", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 0});
    auto const directory = std::filesystem::path(disk[0]).parent_path().string() + '/';
    auto const index = ps::shard_index::path_in(directory);
    (void)(disk.plan() | ps::read_tar({.write_index = false}));
    CHECK_FALSE(std::filesystem::exists(index));
    (void)(disk.plan() | ps::read_tar());
    REQUIRE(std::filesystem::exists(index));
    CHECK(ps::shard_index::read(directory).size() == 3);

    // it is used: an entry that lies, for an unchanged file, is found out while reading
    auto lying = ps::shard_index::read(directory);
    auto e = *ps::shard_index::stat_of(disk[1]);
    e.samples = 5;
    lying.set("s-1.tar", e);
    lying.write(directory);
    auto p = disk.plan() | ps::read_tar();
    CHECK(p.world_max() == 9);
    CHECK(has(drain(p).errors.at(0), "index_mismatch"));
    // the caller's counts contradict it
    auto const text = error_of<ps::config_error>([&] { (void)(disk.plan(disk.known()) | ps::read_tar()); });
    CHECK(has(text, disk[1] + ": the plan says 6 samples, the index beside it 5\n  HINT"));
    // a changed file is counted again, and the rest is believed
    disk.write(1, shards::tar(4, 7));
    auto q = disk.plan() | ps::read_tar();
    CHECK(q.world_max() == 11);
    CHECK(drain(q).errors.empty());
    CHECK(*ps::shard_index::read(directory).look(disk[1]).samples == 7);
    // so is sizes.json, for what the index does not know
    std::filesystem::remove(index);
    { std::ofstream(directory + "sizes.json") << "{\"s-0.tar\": 4, \"s-1.tar\": 7, \"s-2.tar\": 3}"; }
    CHECK((disk.plan() | ps::read_tar()).world_max() == 14);
    { std::ofstream(directory + "sizes.json") << "{\"s-0.tar\": 4}"; }
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::read_tar()); }), disk[1] + ": is not in " + directory + "sizes.json"));
    std::filesystem::remove(directory + "sizes.json");
    // a damaged one is no error, and a foreign one is left alone
    disk.write(1, shards::tar(4, 6));
    { std::ofstream(index) << "rubbish"; }
    CHECK(has(error_of<ps::config_error>([&] { (void)(disk.plan() | ps::read_tar()); }), index + ": this is no index of penstock"));
    CHECK((disk.plan() | ps::read_tar({.write_index = false})).world_max() == 10);
    { std::ofstream(index) << "penstock-index 3\nrubbish"; }
    CHECK((disk.plan() | ps::read_tar()).world_max() == 10);
    CHECK(ps::shard_index::read(directory).problem().empty());
}

TEST_CASE("read_tar: an index that cannot be written is no error, and a damaged shard is not remembered", "[unit][read_tar]") {
    auto const disk = shards({4, 6});
    auto const directory = std::filesystem::path(disk[0]).parent_path().string() + '/';
    std::filesystem::create_directory(ps::shard_index::path_in(directory));  // in the way, for root too
    CHECK((disk.plan() | ps::read_tar()).world_max() == 10);
    std::filesystem::remove(ps::shard_index::path_in(directory));
    disk.write(1, shards::tar(4, 6).substr(0, 5000));
    auto p = disk.plan() | ps::read_tar({.damaged = ps::damaged_shards::read_up_to});
    CHECK(ps::shard_index::read(directory).size() == 0);
}

TEST_CASE("read_tar: ranks that count at once agree and leave a whole index", "[unit][read_tar]") {
    auto const disk = shards({30, 0, 20, 50, 1, 1, 1, 1});
    auto const directory = std::filesystem::path(disk[0]).parent_path().string() + '/';
    std::vector<std::uint64_t> most(6);
    {
        std::vector<std::jthread> ranks;
        for (std::size_t r = 0; r != most.size(); ++r)
            ranks.emplace_back([&, r] { most[r] = *(disk.plan() | ps::split_by_rank({static_cast<std::uint32_t>(r), 6}) | ps::read_tar()).world_max(); });
    }
    CHECK(most == std::vector<std::uint64_t>(6, (104 + 5) / 6));
    auto const index = ps::shard_index::read(directory);
    CHECK(index.problem().empty());
    CHECK(index.size() == 8);
}

TEST_CASE("read_tar: a missing shard stops the build, whoever counts", "[unit][read_tar]") {
    auto const disk = shards({2, 2});
    std::filesystem::remove(disk[1]);
    for (auto const& o : {ps::shard_list_options{}, disk.known()}) {
        auto const text = error_of<ps::config_error>([&] { (void)(disk.plan(o) | ps::read_tar()); });
        CHECK(has(text, disk[1]));
        CHECK(has(text, "HINT: look for the shard"));
    }
    CHECK(has(error_of<ps::config_error>([] { (void)(ps::shard_list("~/a.tar") | ps::read_tar()); }), "~/a.tar: no such file (it is the shell that replaces ~: write ${HOME})"));
    CHECK(has(error_of<ps::config_error>([] { (void)(ps::shard_list("pipe:cat a.tar") | ps::read_tar()); }), "no such file (commands behind pipe: are not run)"));
    CHECK(has(error_of<ps::config_error>([] { (void)(ps::shard_list("https://x/a.tar") | ps::read_tar()); }), "unless it is asked for\n  HINT: files of this machine are read"));
    CHECK(has(error_of<ps::config_error>([] { (void)ps::read_tar({.count_threads = 0}); }), "got 0"));
}

TEST_CASE("read_tar: a shard that may not be read stops the build; known counts leave it for its turn", "[unit][read_tar]") {
    auto m = memory{};
    m.bytes["a"] = shards::tar(0, 3);
    auto const text = error_of<ps::config_error>([&] { (void)(ps::shard_list({"a", "b"}) | ps::read_tar({.io = m.opener()})); });
    CHECK(has(text, "b: permission denied\n  HINT"));
    auto p = ps::shard_list({"a", "b"}, {.counts = {3, 2}}) | ps::read_tar({.io = m.opener()});
    auto const got = drain(p);
    CHECK(got.ids == range(0, 3));
    CHECK(has(got.errors.at(0), "read_tar: b (id 3): permission denied; 2 samples are lost, ids 3 to 4\n  HINT: chmod"));
}

TEST_CASE("read_tar: no samples at all is refused, an empty shard among others is not", "[unit][read_tar]") {
    auto const none = shards({0, 0});
    CHECK(has(error_of<ps::config_error>([&] { (void)(none.plan() | ps::read_tar()); }), "at least one sample"));
    auto const some = shards({0, 1, 0});
    auto p = some.plan() | ps::split_by_rank({2, 5}) | ps::read_tar();
    CHECK(p.world_max() == 1);
    CHECK(drain(p).ids.empty());
}

TEST_CASE("read_tar: a truncated shard is refused when it is counted, or read up to the damage", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 3});
    auto const whole = shards::tar(4, 6);
    disk.write(1, whole.substr(0, whole.size() / 2));
    auto const text = error_of<ps::config_error>([&] { (void)(disk.plan() | ps::read_tar()); });
    CHECK(has(text, disk[1]));
    CHECK(has(text, "truncated"));
    CHECK(has(text, "take it off the list"));

    auto p = disk.plan() | ps::read_tar({.damaged = ps::damaged_shards::read_up_to});
    std::vector<std::string> keys;
    std::vector<std::string> errors;
    while (true) {
        try {
            auto s = p.next();
            if (!s) break;
            keys.push_back(s->key);
        } catch (ps::lost_samples const& e) {
            CHECK(e.lost == 1);
            errors.push_back(e.what());
            keys.push_back("!");
        }
    }
    auto const broken = std::find(keys.begin(), keys.end(), "!") - keys.begin();
    REQUIRE(broken >= 5);
    for (std::ptrdiff_t i = 0; i != broken; ++i) CHECK(keys[static_cast<std::size_t>(i)] == shards::key(static_cast<std::uint64_t>(i)));
    CHECK(std::vector(keys.begin() + broken + 1, keys.end()) == std::vector{shards::key(10), shards::key(11), shards::key(12)});
    REQUIRE(errors.size() == 1);
    CHECK(has(errors[0], "truncated"));
}

TEST_CASE("read_tar: damage after counting comes in order with shard, key, byte and ids", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 3});
    auto p = disk.plan() | ps::read_tar();
    auto bytes = shards::tar(4, 6);
    auto const header = bytes.find(shards::key(7) + ".png");
    bytes[header + 124] = 'x';  // the size of sample 7's second file
    disk.write(1, bytes);
    auto const got = drain(p);
    CHECK(got.ids == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 10, 11, 12});
    CHECK(got.covered == 13);
    REQUIRE(got.errors.size() == 1);
    CHECK(has(got.errors[0], "read_tar: " + disk[1] + ", sample '" + shards::key(7) + "' (id 7), byte " + std::to_string(header) + ": bad_header"));
    CHECK(has(got.errors[0], "3 samples are lost, ids 7 to 9\n  HINT: "));
}

TEST_CASE("read_tar: other numbers of samples than planned are index_mismatch with both numbers", "[unit][read_tar]") {
    auto const disk = shards({4, 6, 3});
    for (bool const scanned : {true, false}) {
        disk.write(1, shards::tar(4, 6));
        auto fewer = disk.plan(scanned ? ps::shard_list_options{} : disk.known()) | ps::read_tar();
        disk.write(1, shards::tar(4, 4));
        auto got = drain(fewer);
        CHECK(got.ids == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12});
        REQUIRE(got.errors.size() == 1);
        CHECK(has(got.errors[0], "index_mismatch"));
        CHECK(has(got.errors[0], " 6 samples"));
        CHECK(has(got.errors[0], "after 4"));
        CHECK(has(got.errors[0], "2 samples are lost, ids 8 to 9"));
    }
    disk.write(1, shards::tar(4, 6));
    auto more = disk.plan() | ps::read_tar();
    disk.write(1, shards::tar(4, 8));
    auto const got = drain(more);
    CHECK(got.ids == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12});
    CHECK(got.covered == 13);
    REQUIRE(got.errors.size() == 1);
    CHECK(has(got.errors[0], "index_mismatch"));
    CHECK(has(got.errors[0], "1 sample is lost"));
}

TEST_CASE("read_tar: a sample with a field twice costs itself; next and discard agree", "[unit][read_tar]") {
    test::temp_dir dir;
    auto t = test::tar_maker{};
    t.add("a.cls", "0").add("b.cls", "1").add("b.CLS", "1").add("c.cls", "2").end();
    auto const path = dir.write("twice.tar", t.bytes);
    for (bool const made : {true, false}) {
        auto p = ps::shard_list({path}) | ps::read_tar();
        CHECK(p.next()->id == 0);
        auto const text = error_of<ps::lost_samples>([&] { made ? (void)p.next() : (void)ps::discard(p.inner()); });
        CHECK(has(text, "sample 'b' (id 1)"));
        CHECK(has(text, "duplicate_field"));
        auto const last = p.next();
        CHECK(last->id == 2);
        CHECK(last->cover.count() == 2);
        CHECK_FALSE(p.next());
    }
}

TEST_CASE("read_tar: a file that is shortened while it is read is an I/O error that names it", "[unit][read_tar]") {
    auto const disk = shards({300, 2});
    auto p = disk.plan() | ps::read_tar();
    for (int i = 0; i != 3; ++i) CHECK(p.next());
    std::filesystem::resize_file(disk[0], 200'000);
    auto const got = drain(p);
    REQUIRE(got.errors.size() == 1);
    CHECK(has(got.errors[0], disk[0]));
    CHECK(has(got.errors[0], "HINT"));
    CHECK(got.ids.size() < 299);
    CHECK(got.covered == 299);
    CHECK(std::vector(got.ids.end() - 2, got.ids.end()) == range(300, 302));
}

TEST_CASE("read_tar: a source that is slow and fails once costs one shard's rest", "[unit][read_tar]") {
    auto m = memory{};
    m.bytes["a"] = shards::tar(0, 5);
    m.bytes["b"] = shards::tar(5, 5);
    m.prepare = [](std::string const& path, test::faulty_source& s) {
        s.delay = 1ms;
        if (path == "a") s.fails = [](std::uint64_t read) { return read == 8; };
    };
    auto p = ps::shard_list({"a", "b"}, {.counts = {5, 5}}) | ps::read_tar({.io = m.opener()});
    auto const got = drain(p);
    REQUIRE(got.errors.size() == 1);
    CHECK(has(got.errors[0], "a"));
    CHECK(has(got.errors[0], "the test made this read fail"));
    CHECK(got.covered == 10);
    CHECK(std::vector(got.ids.end() - 5, got.ids.end()) == range(5, 10));
    CHECK(p.stats().at(0).errors == 1);
    CHECK(p.stats().at(0).total_ns > 1'000'000);
    m.prepare = [](auto const&, test::faulty_source& s) { s.fails = [](std::uint64_t) { return true; }; };
    auto const text = error_of<ps::config_error>([&] { (void)(ps::shard_list({"a", "b"}) | ps::read_tar({.io = m.opener()})); });
    CHECK(has(text, "a, byte 0: the test made this read fail"));
}

TEST_CASE("read_tar: a blocked read ends when the run is stopped, and nothing is lost", "[unit][read_tar]") {
    auto m = memory{};
    m.bytes["a"] = shards::tar(0, 3);
    m.prepare = [](auto const&, test::faulty_source& s) { s.delay = 1h; };
    auto p = ps::shard_list({"a"}, {.counts = {3}}) | ps::read_tar({.io = m.opener()});
    std::stop_source stop;
    p.attach(stop.get_token());
    auto stopping = std::jthread([&] {
        std::this_thread::sleep_for(30ms);
        stop.request_stop();
    });
    auto const begin = std::chrono::steady_clock::now();
    CHECK(has(error_of<ps::stage_error>([&] { (void)p.next(); }), "cancelled"));
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    m.prepare = [](auto const&, auto&) {};
    p.attach({});
    CHECK(drain(p).ids == range(0, 3));
}

TEST_CASE("read_tar: a state over other data is refused and says where it differs", "[unit][read_tar]") {
    auto const disk = shards({4, 6});
    auto p = disk.plan() | ps::read_tar();
    (void)p.next();
    auto const saved = p.save();
    disk.write(1, shards::tar(4, 7));
    auto q = disk.plan() | ps::read_tar();
    auto const text = error_of<ps::state_error>([&] { q.load(saved); });
    CHECK(has(text, "shard 1, here " + disk[1] + " with 7 (10 samples in all, here 11)"));
    CHECK(has(text, "HINT"));
}
