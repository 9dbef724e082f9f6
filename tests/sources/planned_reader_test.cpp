#include <penstock/sources/planned_reader.hpp>
#include <penstock/core/stage.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>

#include <support/fake_shards.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using reader = ps::planned_reader<test::fake_shards>;
using counts = std::vector<std::uint64_t>;

struct setup {
    counts sizes{};
    std::uint32_t ranks = 1;
    bool shuffled = false;
    ps::shard_list_options options{};
    test::fake_shards format{};

    ps::shard_plan plan(std::uint32_t rank = 0) const {
        auto o = options;
        o.counts = sizes;
        std::vector<std::string> names;
        for (std::size_t i = 0; i != sizes.size(); ++i) {
            names.push_back("s" + std::to_string(i));
            format.disk->shards.try_emplace(names.back(), test::fake_disk::shard{.samples = sizes[i]});
        }
        auto p = ps::shard_list(std::move(names), o) | ps::split_by_rank({rank, ranks});
        return shuffled ? p | ps::shuffle_shards() : p;
    }
    ps::pipeline<reader> open(std::uint32_t rank = 0) const { return ps::pipeline<reader>(reader(plan(rank), format)); }
    test::fake_disk::shard& shard(std::size_t i) const {
        (void)plan();
        return format.disk->shards["s" + std::to_string(i)];
    }
};

struct outcome {
    std::vector<std::uint64_t> ids, positions;
    std::vector<std::string> errors;
};

/// Everything to the end of the epoch; errors are kept and reading goes on.
template <class P>
outcome drain(P& p, std::uint64_t at_most = 1'000'000) {
    outcome out;
    while (at_most-- != 0) {
        try {
            auto item = p.next();
            if (!item) return out;
            out.ids.push_back(item->id);
            item->cover.each([&](ps::interval i) {
                for (auto at = i.begin; at != i.end; ++at) out.positions.push_back(at);
            });
        } catch (ps::lost_samples const& e) {
            out.errors.push_back(e.what());
        }
    }
    return out;
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

template <class E, class F>
std::string error_of(F f) {
    try {
        f();
    } catch (E const& e) {
        return e.what();
    }
    return {};
}

}  // namespace

TEST_CASE("planned_reader: items know id, pass, position, key", "[unit][sources]") {
    auto const s = setup{.sizes = {2, 0, 3}};
    auto p = s.open();
    p.reset(0, 1);  // the second epoch is the second pass
    std::string seen;
    while (auto i = p.next()) {
        CHECK(i->weight == 1);
        CHECK(i->pass == 1);
        CHECK(i->cover.count() == 1);
        seen += std::to_string(i->id) + i->key + i->value + " ";
    }
    CHECK(seen == "0k0s0/k0 1k1s0/k1 2k0s2/k0 3k1s2/k1 4k2s2/k2 ");
    CHECK_FALSE(p.next());
    CHECK(p.stats().at(0).items == 5);
}

namespace {
bool is_the_line(std::vector<std::uint64_t> const& positions) {
    for (std::uint64_t i = 0; i != positions.size(); ++i)
        if (positions[i] != i) return false;
    return true;
}
}  // namespace

TEST_CASE("planned_reader: every sample exactly once, whatever the shards, ranks, passes and windows", "[unit][sources][no_tsan]") {
    ps::random_stream draw(3, 0, 0);
    for (int round = 0; round != 400; ++round) {
        auto s = setup{.ranks = 1 + draw.below(17), .shuffled = draw.chance(0.5)};
        s.sizes.resize(1 + draw.below(50));
        for (auto& n : s.sizes) n = draw.chance(0.2) ? 0 : draw.below(draw.chance(0.1) ? 300 : 20);
        if (draw.chance(0.5)) s.sizes = {1 + draw.below(300)};
        std::uint64_t all = 0;
        for (auto n : s.sizes) all += n;
        if (all == 0) continue;
        if (draw.chance(0.3)) s.options.samples_per_epoch = 1 + draw.below(static_cast<std::uint32_t>(2 * all));
        else if (draw.chance(0.2)) s.options.repeat = 1 + draw.below(3);
        auto const length = s.plan().epoch_samples();

        std::vector<std::uint64_t> positions;       // of all epochs
        std::vector<std::uint64_t> seen(all);       // how often each id came
        auto const epochs = std::uint64_t{3};
        std::vector<ps::pipeline<reader>> ranks;
        for (std::uint32_t r = 0; r != s.ranks; ++r) ranks.push_back(s.open(r));
        for (std::uint64_t e = 0; e != epochs; ++e) {
            std::uint64_t most = 0;
            for (auto& p : ranks) {
                p.reset(9, e);
                REQUIRE(p.world_max() == (length + s.ranks - 1) / s.ranks);
                REQUIRE(p.facts().world_min == length / s.ranks);
                auto const promised = p.hint();
                auto const got = drain(p);
                REQUIRE(got.errors.empty());
                REQUIRE(promised == ps::size_hint{got.ids.size(), got.ids.size()});
                most = (std::max)(most, std::uint64_t{got.ids.size()});
                for (auto id : got.ids) ++seen[id];
                positions.insert(positions.end(), got.positions.begin(), got.positions.end());
            }
            REQUIRE(most == ranks[0].world_max());
        }
        REQUIRE(positions.size() == epochs * length);
        REQUIRE(is_the_line(positions));  // ranks in order, epochs in order
        auto const whole = epochs * length / all;
        REQUIRE(std::ranges::all_of(seen, [&](auto n) { return n == whole || n == whole + 1; }));
    }
}

TEST_CASE("planned_reader: resumes at every position, over epoch edges, with and without losses, whole or a part", "[unit][sources]") {
    for (bool const damaged : {false, true})
        for (std::uint32_t const one : {0u, 1u, 2u, 3u, 4u, 5u}) {
            auto const rank = one / 2;
            auto const part = one % 2 != 0 ? ps::part::train : ps::part::all;
            auto s = setup{.sizes = {4, 0, 7, 1, 5}, .ranks = 3, .shuffled = true, .options = {.samples_per_epoch = damaged ? 25u : 0u, .part = part, .hold_out = part == ps::part::all ? 0 : 0.3}};
            if (damaged) {
                s.shard(2).damaged_at = 3;
                s.shard(4).faulty = {1, 2};
                s.shard(0).samples = 3;
            }
            auto const trace = [](auto& p, std::vector<ps::state>* states) {  // three epochs from where p stands, an event per pull
                std::vector<std::string> events;
                while (true) {
                    if (states) states->push_back(p.save());
                    try {
                        if (auto i = p.next()) {
                            auto text = i->value;
                            i->cover.each([&](ps::interval c) { text += ps::message(" ", c.begin, "-", c.end); });
                            events.push_back(text);
                        } else if (p.current().index == 2) return events;
                        else {
                            events.push_back("edge");
                            p.reset(4, p.current().index + 1);
                        }
                    } catch (ps::lost_samples const& e) {
                        events.push_back(e.what());
                    }
                }
            };
            auto p = s.open(rank);
            p.reset(4, 0);
            std::vector<ps::state> states;
            auto const whole = trace(p, &states);
            if (damaged) CHECK(std::any_of(whole.begin(), whole.end(), [](auto const& e) { return has(e, "lost"); }));
            for (std::size_t k = 0; k != states.size(); ++k) {
                auto q = s.open(rank);
                q.load(ps::state::parse(states[k].text()));
                CHECK(q.save() == states[k]);
                CHECK(q.world_max() == p.world_max());
                CHECK(q.facts().world_min == p.facts().world_min);
                REQUIRE(trace(q, nullptr) == std::vector(whole.begin() + static_cast<std::ptrdiff_t>(k), whole.end()));
            }
        }
}

TEST_CASE("planned_reader: train and val share the samples of every pass, in equal steps, whatever the shards, ranks and windows", "[unit][sources][no_tsan]") {
    ps::random_stream draw(4, 0, 0);
    for (int round = 0; round != 300; ++round) {
        auto s = setup{.ranks = 1 + draw.below(17), .shuffled = draw.chance(0.5)};
        s.sizes.resize(1 + draw.below(40));
        for (auto& n : s.sizes) n = draw.chance(0.2) ? 0 : draw.below(draw.chance(0.1) ? 600 : 20);
        s.sizes.front() += 40;
        std::uint64_t all = 0;
        for (auto n : s.sizes) all += n;
        s.options.hold_out = draw.chance(0.3) ? 0.5 : (1 + draw.below(9)) / 20.0;
        s.options.repeat = 1 + draw.below(2);
        std::vector<std::vector<std::uint64_t>> seen;  // per part, how often each id came
        for (auto const which : {ps::part::train, ps::part::val}) {
            s.options.part = which;
            auto windowed = s;
            auto const n = s.plan().samples();
            if (n == 0) {
                seen.emplace_back(all);
                continue;
            }
            if (draw.chance(0.3)) windowed.options.repeat = 1, windowed.options.samples_per_epoch = 1 + draw.below(static_cast<std::uint32_t>(2 * n));
            auto const length = windowed.plan().epoch_samples();
            std::vector<std::uint64_t> positions, times(all);
            for (std::uint64_t e = 0; e != 3; ++e)
                for (std::uint32_t r = 0; r != s.ranks; ++r) {
                    auto p = windowed.open(r);
                    p.reset(9, e);
                    auto const got = drain(p);
                    REQUIRE(got.errors.empty());
                    REQUIRE(p.world_max() == (length + s.ranks - 1) / s.ranks);
                    REQUIRE(got.ids.size() <= *p.world_max());
                    REQUIRE(got.ids.size() >= *p.facts().world_min);
                    for (auto id : got.ids) ++times[id];
                    positions.insert(positions.end(), got.positions.begin(), got.positions.end());
                }
            REQUIRE(positions.size() == 3 * length);
            REQUIRE(is_the_line(positions));
            auto const whole = 3 * length / n;
            std::uint64_t mine = 0;
            REQUIRE(std::ranges::all_of(times, [&](auto t) { return t == 0 || whole == 0 || t == whole || t == whole + 1; }));
            for (auto& t : times) {
                mine += t != 0;
                t = t != 0;
            }
            if (whole != 0) REQUIRE(mine == n);
            if (whole == 0) continue;
            seen.push_back(std::move(times));
        }
        if (seen.size() != 2) continue;
        std::uint64_t in_both = 0;
        for (std::uint64_t id = 0; id != all; ++id) in_both += seen[0][id] + seen[1][id] > 1;
        REQUIRE(in_both == 0);
        if (s.plan().samples() != 0) {
            std::uint64_t both = 0;
            for (auto const& part : seen)
                for (auto n : part) both += n;
            REQUIRE(both == all);
        }
    }
}

TEST_CASE("planned_reader: a held-out part goes on in other worlds with what was not delivered, again and again", "[unit][sources]") {
    auto s = setup{.sizes = {40, 0, 7, 90, 33}, .shuffled = true, .options = {.part = ps::part::train, .hold_out = 0.2}};
    ps::ledger used;
    std::vector<std::uint64_t> ids;
    for (std::uint32_t const ranks : {3u, 2u, 5u, 1u}) {
        s.ranks = ranks;
        ps::ledger done;
        for (std::uint32_t r = 0; r != ranks; ++r) {
            auto p = s.open(r);
            ps::ledger mine;
            if (used.empty()) p.reset(8, 1);
            else p.reset(ps::epoch::of(8, 1), used);
            for (std::uint32_t i = 0; i != 13 - 2 * r || ranks == 1; ++i) {
                auto item = p.next();
                if (!item) break;
                mine.commit(*item);
                ids.push_back(item->id);
            }
            done.merge(mine);
        }
        used.merge(done);  // all ranks of a world are given the same one
    }
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
    CHECK(ids.size() == s.plan().samples());
}

TEST_CASE("planned_reader: samples of the other part are passed unmade, and what is wrong with them costs nothing", "[unit][sources]") {
    auto s = setup{.sizes = {200}, .options = {.part = ps::part::val, .hold_out = 0.1}};
    auto val = s.plan().chosen_of(0);
    std::vector<std::uint64_t> mine;
    for (std::uint64_t k = 0; k != s.plan().samples(); ++k) mine.push_back(val.at(k));
    for (std::uint64_t i = 0; i != 200; ++i)
        if (!std::binary_search(mine.begin(), mine.end(), i)) s.shard(0).faulty.insert(i);
    auto p = s.open();
    auto const got = drain(p);
    CHECK(got.ids == mine);
    CHECK(got.errors.empty());
    CHECK(s.format.disk->made == mine.size());
    s.shard(0).faulty = {mine[3]};
    auto q = s.open();
    CHECK(has(drain(q).errors.at(0), ps::message("(id ", mine[3], ")")));
    s.shard(0).damaged_at = mine[5] - 1;  // lies between two samples of this part, or is one of them
    auto t = s.open();
    auto const torn = drain(t);
    auto const whole = mine[4] == mine[5] - 1 ? 4u : 5u;
    CHECK(torn.ids.size() == whole - 1);
    CHECK(has(torn.errors.back(), ps::message(mine.size() - whole, " samples are lost, ids ", mine[whole], " to ", mine.back())));
}

TEST_CASE("planned_reader: a state of one part is not one of the other, and a part without samples is refused", "[unit][sources]") {
    auto s = setup{.sizes = {30, 30}, .options = {.part = ps::part::train, .hold_out = 0.5}};
    auto const saved = s.open().save();
    auto other = s;
    other.options.part = ps::part::val;
    auto val = other.open();
    auto const text = error_of<ps::state_error>([&] { val.load(saved); });
    CHECK(has(text, "saved reading the train part (hold_out 0.5), this plan reads the val part (hold_out 0.5)"));
    CHECK(has(text, "HINT"));
    other = s;
    other.options.hold_out = 0.25;
    CHECK(has(error_of<ps::state_error>([&] { other.open().load(saved); }), "this plan reads the train part (hold_out 0.25)"));
    other.options = {};
    CHECK(has(error_of<ps::state_error>([&] { other.open().load(saved); }), "this plan reads all samples"));
    auto const none = error_of<ps::config_error>([] { (void)setup{.sizes = {2, 2}, .options = {.part = ps::part::val, .hold_out = 1e-9}}.open(); });
    CHECK(has(none, "read_fake: the val part (hold_out 9.31323e-10) of 2 shards holds no sample"));
    CHECK(has(none, "HINT"));
}

TEST_CASE("planned_reader: discard advances like next and makes nothing", "[unit][sources]") {
    auto const s = setup{.sizes = {3, 4}, .ranks = 2};
    for (std::uint64_t k = 0; k != 5; ++k) {
        auto p = s.open(), q = s.open();
        p.reset(0, 0);
        q.reset(0, 0);
        auto const before = s.format.disk->made;
        for (std::uint64_t i = 0; i != k; ++i) CHECK(ps::discard(p.inner()) == (i < 3));
        CHECK(s.format.disk->made == before);
        for (std::uint64_t i = 0; i != k; ++i) (void)q.next();
        CHECK(p.save() == q.save());
        CHECK(drain(p).ids == drain(q).ids);
    }
}

TEST_CASE("planned_reader: what discard passes leaves the same cover behind as next", "[unit][sources]") {
    auto s = setup{.sizes = {5, 2}};
    s.shard(0).faulty = {1, 2};
    auto p = s.open();
    CHECK(p.next()->id == 0);
    for (int i = 0; i != 2; ++i) CHECK_THROWS_AS(ps::discard(p.inner()), ps::lost_samples);
    CHECK(p.next()->cover.count() == 3);
    CHECK(ps::discard(p.inner()));
    CHECK(p.next()->cover.count() == 1);
    p.reset(0, 1);
    CHECK(p.next()->id == 0);
    for (int i = 0; i != 2; ++i) CHECK_THROWS_AS(ps::discard(p.inner()), ps::lost_samples);
    CHECK(ps::discard(p.inner()));  // takes the lost positions with it
    CHECK(p.next()->cover.count() == 1);
}

TEST_CASE("planned_reader: shards are opened one at a time, when they are needed", "[unit][sources]") {
    auto const s = setup{.sizes = {3, 0, 3, 3}, .ranks = 2};
    auto p = s.open(1);
    auto const& opened = s.format.disk->opened;
    p.reset(0, 0);
    CHECK(opened.empty());
    (void)p.next();
    CHECK(opened == std::vector<std::string>{"s2"});
    (void)p.next();
    CHECK(opened.size() == 1);
    (void)drain(p);
    CHECK(opened == std::vector<std::string>{"s2", "s3"});
    CHECK(s.open(0).world_max() == 5);  // before any reset, for whoever plans with it
}

TEST_CASE("planned_reader: a missing shard costs what this rank had to read of it", "[unit][sources]") {
    auto s = setup{.sizes = {4, 4, 4}, .ranks = 2};
    s.shard(1).missing = true;
    auto p = s.open(0);
    auto const got = drain(p);
    CHECK(got.ids == counts{0, 1, 2, 3});
    REQUIRE(got.errors.size() == 1);
    CHECK(has(got.errors[0], "read_fake: s1 (id 4): no such file; 2 samples are lost, ids 4 to 5\n  HINT: look for it"));
    auto q = s.open(1);
    auto const rest = drain(q);
    CHECK(rest.ids == counts{8, 9, 10, 11});
    CHECK(rest.positions == counts{6, 7, 8, 9, 10, 11});  // what was lost is covered by the next item
    CHECK(has(rest.errors.at(0), "2 samples are lost, ids 6 to 7"));
    CHECK(q.stats().at(0).errors == 1);
}

TEST_CASE("planned_reader: damage comes in order, is named, and what caused it is nested", "[unit][sources]") {
    auto s = setup{.sizes = {5, 2}};
    s.shard(0).damaged_at = 2;
    auto p = s.open();
    CHECK(p.next()->id == 0);
    CHECK(p.next()->id == 1);
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::lost_samples const& e) {
        CHECK(e.kind == ps::fault::content);
        CHECK(e.lost == 3);
        CHECK(e.where.shard == "s0");
        CHECK(e.where.byte == 1024);
        CHECK(e.where.sample == 2);
        CHECK(std::string(e.what()) == "read_fake: s0 (id 2), byte 1024: torn; 3 samples are lost, ids 2 to 4\n  HINT: copy it again");
        CHECK(error_of<ps::stage_error>([&] { std::rethrow_if_nested(e); }) == "fake: s0, byte 1024: torn\n  HINT: copy it again");
    }
    auto const next = p.next();
    CHECK(next->id == 5);
    CHECK(next->cover.count() == 4);
}

TEST_CASE("planned_reader: a faulty sample costs itself alone", "[unit][sources]") {
    auto s = setup{.sizes = {4}};
    s.shard(0).faulty = {1, 3};
    auto p = s.open();
    auto const got = drain(p);
    CHECK(got.ids == counts{0, 2});
    CHECK(p.inner().trailing().count() == 1);  // no item comes after the last loss
    CHECK(p.inner().trailing().empty());
    REQUIRE(got.errors.size() == 2);
    CHECK(has(got.errors[0], "sample 'k1' (id 1), byte 1: bad sample; 1 sample is lost"));
    CHECK(s.format.disk->opened.size() == 1);
}

TEST_CASE("planned_reader: fewer or more samples than planned", "[unit][sources]") {
    auto s = setup{.sizes = {4, 3}};
    s.shard(0).samples = 2;
    auto p = s.open();
    auto got = drain(p);
    CHECK(got.ids == counts{0, 1, 4, 5, 6});
    CHECK(has(got.errors.at(0), "index_mismatch: the plan says 4 samples, the shard ends after 2; 2 samples are lost, ids 2 to 3"));
    s.shard(0).samples = 6;
    auto q = s.open();
    got = drain(q);
    CHECK(got.ids == counts{0, 1, 2, 4, 5, 6});
    CHECK(has(got.errors.at(0), "index_mismatch: the plan says 4 samples, the shard has more; 1 sample is lost"));
    // only the rank that starts behind the real end meets it, and so does the one that reads the end
    auto t = setup{.sizes = {12}, .ranks = 3};
    t.shard(0).samples = 6;
    std::string ids;
    for (std::uint32_t r = 0; r != 3; ++r) {
        auto one = t.open(r);
        auto const o = drain(one);
        ids += std::to_string(o.ids.size()) + (o.errors.empty() ? " " : "! ");
    }
    CHECK(ids == "4 2! 0! ");
}

TEST_CASE("planned_reader: more ranks than samples leaves ranks without any; no samples at all is refused", "[unit][sources]") {
    auto const s = setup{.sizes = {2, 1}, .ranks = 7};
    std::uint64_t all = 0;
    for (std::uint32_t r = 0; r != 7; ++r) {
        auto p = s.open(r);
        CHECK(p.world_max() == 1);
        all += drain(p).ids.size();
    }
    CHECK(all == 3);
    auto const text = error_of<ps::config_error>([] { (void)setup{.sizes = {0, 0}}.open(); });
    CHECK(has(text, "read_fake: a data set needs at least one sample, but 2 shards hold none"));
    CHECK(has(text, "HINT"));
}

TEST_CASE("planned_reader: a state of another plan, rank or world is refused, naming the first difference", "[unit][sources]") {
    auto const base = setup{.sizes = {3, 4, 5}, .ranks = 2};
    auto p = base.open();
    (void)p.next();
    auto const saved = p.save();
    auto const refused = [&](setup const& other, std::uint32_t rank = 0) {
        auto q = other.open(rank);
        auto text = error_of<ps::state_error>([&] { q.load(saved); });
        CHECK(has(text, "HINT"));
        return text;
    };
    CHECK(has(refused({.sizes = {3, 4}, .ranks = 2}), "number of shards 3, this plan has 2"));
    CHECK(has(refused({.sizes = {3, 5, 4}, .ranks = 2}), "of shard 1, here s1 with 5 (12 samples in all, here 12)"));
    CHECK(has(refused({.sizes = {3, 4, 5}, .ranks = 3}), "world size 2, this plan has 3"));
    CHECK(has(refused({.sizes = {3, 4, 5}, .ranks = 2}, 1), "rank 0, this plan has 1"));
    CHECK(has(refused({.sizes = {3, 4, 5}, .ranks = 2, .shuffled = true}), "shuffle_shards 0, this plan has 1"));
    CHECK(has(refused({.sizes = {3, 4, 5}, .ranks = 2, .options = {.repeat = 2}}), "samples per epoch 12, this plan has 24"));

    auto damaged = saved.text();
    damaged.replace(damaged.find("left=5 "), 7, "left=9 ");
    auto same = base.open();
    CHECK(has(error_of<ps::state_error>([&] { same.load(ps::state::parse(damaged)); }), "9 samples are left, but the share of this rank is 6"));

    auto many = setup{.sizes = counts(100, 2)};
    auto q = many.open();
    auto const state = q.save();
    CHECK(state.text().size() < 700);
    many.sizes[40] = 1;
    auto other = many.open();
    CHECK(has(error_of<ps::state_error>([&] { other.load(state); }), "among shards 37 to 49, here s37 to s49"));
}

TEST_CASE("planned_reader: a stop ends a read that waits and loses nothing", "[unit][sources]") {
    auto s = setup{.sizes = {2, 5}};
    s.shard(1).blocks_at = 1;
    auto p = s.open();
    std::stop_source stop;
    p.attach(stop.get_token());
    for (int i = 0; i != 3; ++i) CHECK(p.next());
    auto& disk = *s.format.disk;
    auto stopping = std::jthread([&] {
        auto lock = std::unique_lock(disk.guard);
        disk.changed.wait(lock, [&] { return disk.waiting; });
        lock.unlock();
        stop.request_stop();
    });
    auto const before = p.save();
    CHECK(has(error_of<ps::stage_error>([&] { (void)p.next(); }), "cancelled"));
    stopping.join();
    CHECK(p.save() == before);
    CHECK_FALSE(error_of<ps::stage_error>([&] { (void)p.next(); }).empty());  // and so does every later one
    disk.shards["s1"].blocks_at.reset();
    p.attach(std::stop_token{});
    CHECK(drain(p).ids == counts{3, 4, 5, 6});
    auto q = s.open();
    q.attach(stop.get_token());  // stopped already
    CHECK(has(error_of<ps::stage_error>([&] { (void)q.next(); }), "stopped"));
}
