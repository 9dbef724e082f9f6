// Every stage that holds, drops, mixes or reads ahead, over real tars: the same batches after a load at any position, every sample once in other worlds, or a sentence.
#include <conformance/tar_job.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/alternate.hpp>
#include <penstock/stages/bucket_by_length.hpp>
#include <penstock/stages/cache.hpp>
#include <penstock/stages/chain.hpp>
#include <penstock/stages/combine.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/filter_map.hpp>
#include <penstock/stages/interleave.hpp>

#include <support/temp_dir.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using number = std::uint64_t;
using batches = ps::batch_of<number>;
using chain = ps::any_pipeline<batches>;
using numbers = ps::any_pipeline<ps::keyed<number>>;

constexpr std::uint64_t seed = 31;
/// No row yields as many batches in an epoch on one rank: chains without an end are cut here.
constexpr std::uint64_t long_enough = 120;
#ifdef __SANITIZE_THREAD__  // looks for races, which show at every position alike, and is ten times as slow
constexpr std::size_t every = 6;
constexpr std::uint64_t rounds = 1;
#else
constexpr std::size_t every = 1;
constexpr std::uint64_t rounds = 8;
#endif

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }
template <class Error, class F>
std::string error_of(F f) {
    try {
        f();
    } catch (Error const& e) {
        return e.what();
    }
    return "nothing was thrown";
}

/// Two data sets: one of 86 samples in shards of uneven sizes, one of 31.
struct disks {
    test::temp_dir dir;
    test::tar_disk a{made("a"), {17, 0, 9, 30, 4, 1, 25}}, b{made("b"), {20, 11}}, rotten{made("rotten"), {17, 0, 9, 30, 4, 1, 25}}, ruined{made("ruined"), {60}};
    std::set<number> const bad{3, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 60, 85};

    disks() {
        for (auto const id : bad) rotten.rot(id, false);
        ruined.rot(30, true);
    }
    std::string made(std::string const& name) const {
        std::filesystem::create_directory(dir.path(name));
        return dir.path(name);
    }
    static ps::shard_plan plan(test::tar_disk const& d, ps::world w) { return ps::shard_list(d.paths()) | ps::shuffle_shards() | ps::split_by_rank(w); }
    static auto samples(test::tar_disk const& d, ps::world w, bool verify = false) { return plan(d, w) | ps::read_tar({.verify = verify}); }
    numbers read(test::tar_disk const& d, ps::world w) const { return ps::any(samples(d, w) | ps::map(test::decoded)); }
};

enum class outcome {
    exact,      ///< every sample once in any row of worlds
    filtered,   ///< the same of those divisible by 3
    skipped,    ///< the same of those that are not damaged
    first,      ///< as much of each source as until one of them has ended, that one whole
    refused,    ///< another world is refused with a sentence
};
struct row {
    std::string name;
    std::function<chain(disks const&, ps::world)> make;
    outcome elsewhere = outcome::exact;
    std::string sentence{};  ///< of the refusal
    bool ordered = true;     ///< the same batches after a load, not just the same samples
    std::map<std::string, number> sources{{"", 86}};
};

std::map<std::string, number> const both{{"a", 86}, {"b", 31}};

template <class Mix>
auto mixed(Mix mix) {
    return [mix](disks const& d, ps::world w) {
        return ps::any(mix(ps::named("a", ps::any(d.read(d.a, w) | ps::shuffle(7) | ps::batch(4))), ps::named("b", ps::any(d.read(d.b, w) | ps::batch(3)))));
    };
}
auto interleaved(ps::interleave_options o) {
    return [o](disks const& d, ps::world w) {
        return ps::any(ps::interleave(o, ps::named("a", 3, d.read(d.a, w) | ps::shuffle(7) | ps::batch(4)), ps::named("b", 1, d.read(d.b, w) | ps::batch(3))));
    };
}
/// A step of both sources as one batch, whose values are their first items.
auto combined(ps::combine_mode mode) {
    return [mode](disks const& d, ps::world w) {
        return ps::any(ps::combine(mode, ps::named("a", d.read(d.a, w)), ps::named("b", d.read(d.b, w)))
                       | ps::map([](auto const& pair) { return std::get<0>(pair).value_or(1000) * 1000 + std::get<1>(pair).value_or(1000); }) | ps::batch(5));
    };
}

std::vector<row> rows() {
    auto const skip_all = ps::skips{.total = 1000, .in_a_row = 1000};
    return {
        {"shuffle", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::batch(4)); }},
        {"shuffle warm", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle({.window = 9, .warm = true}) | ps::batch(4)); }},
        {"two shuffles", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(6) | ps::shuffle(11) | ps::batch(3)); }},
        {"parallel_map", [](auto& d, auto w) { return ps::any(d.samples(d.a, w) | ps::parallel_map(test::decoded, {.threads = 3, .window = 40}) | ps::batch(4)); }},
        {"parallel_map, unordered", [](auto& d, auto w) { return ps::any(d.samples(d.a, w) | ps::parallel_map(test::decoded, {.threads = 3, .window = 40, .ordered = false}) | ps::batch(4)); }, outcome::exact, {}, false},
        {"prefetch of batches", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(8) | ps::batch(3) | ps::prefetch(4)); }},
        {"prefetch of samples", [](auto& d, auto w) { return ps::any(d.samples(d.a, w) | ps::prefetch(40) | ps::shuffle(8) | ps::map(test::decoded) | ps::batch(3)); }},
        {"all of them", [](auto& d, auto w) { return ps::any(d.samples(d.a, w) | ps::shuffle(8) | ps::prefetch(20) | ps::parallel_map(test::decoded, {.threads = 2}) | ps::batch(3) | ps::prefetch(2)); }},
        {"filter", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::filter([](number i) { return i % 3 == 0; }) | ps::shuffle(5) | ps::batch(2)); }, outcome::filtered},
        {"filter_map", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(5) | ps::filter_map([](number i) { return i % 3 == 0 ? std::optional(i) : std::nullopt; }) | ps::batch(2)); }, outcome::filtered},
        {"batch, pad", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(5) | ps::batch(4, {.remainder = ps::remainder::pad})); }},
        {"bucket_by_length", [](auto& d, auto w) { return ps::any(d.read(d.a, w) | ps::bucket_by_length([](number i) { return i % 9; }, {.boundaries = {3, 6}, .sizes = {3, 2, 2}, .max_wait = 6})); }},
        {"on_error, in the reader", [=](auto& d, auto w) { return ps::any(d.samples(d.rotten, w, true) | ps::on_error(skip_all) | ps::map(test::decoded) | ps::shuffle(8) | ps::batch(4)); }, outcome::skipped},
        {"on_error, behind a shuffle", [=](auto& d, auto w) { return ps::any(d.samples(d.rotten, w, true) | ps::shuffle(20) | ps::on_error(skip_all) | ps::map(test::decoded) | ps::batch(4)); }, outcome::skipped},
        {"on_error, behind a parallel_map", [=](auto& d, auto w) { return ps::any(d.samples(d.rotten, w) | ps::shuffle(8) | ps::parallel_map(test::decoded, {.threads = 2}) | ps::on_error(skip_all) | ps::batch(4) | ps::prefetch(2)); }, outcome::skipped},
        {"interleave first", interleaved({.stop = ps::stop_rule::first}), outcome::first, {}, true, both},
        {"interleave all", interleaved({.stop = ps::stop_rule::all}), outcome::exact, {}, true, both},
        {"interleave all, at random", interleaved({.stop = ps::stop_rule::all, .picks = ps::picks::random}), outcome::exact, {}, true, both},
        {"interleave all_restart", interleaved({.stop = ps::stop_rule::all_restart}), outcome::refused, "interleave starts its sources again, so that they stand in different passes\n  HINT: choose stop_rule::all, or resume with the number of ranks", true, both},
        {"interleave forever", interleaved({.stop = ps::stop_rule::forever}), outcome::refused, "interleave starts its sources again, so that they stand in different passes\n  HINT: choose stop_rule::all, or resume with the number of ranks", true, both},
        {"interleave of samples", [](auto& d, auto w) { return ps::any(ps::interleave({}, ps::named("a", 3, d.read(d.a, w)), ps::named("b", 1, d.read(d.b, w))) | ps::batch(4)); }, outcome::refused,
         "interleave mixes single items, which do not carry the name of their source\n  HINT: batch each source before it is mixed", true, both},
        {"interleave, prefetched", [](auto& d, auto w) { return ps::any(interleaved({.stop = ps::stop_rule::all})(d, w) | ps::prefetch(5)); }, outcome::exact, {}, true, both},
        {"alternate", mixed([](auto a, auto b) { return ps::alternate(2, std::move(a), std::move(b)); }), outcome::exact, {}, true, both},
        {"chain", mixed([](auto a, auto b) { return ps::chain(std::move(a), std::move(b)); }), outcome::exact, {}, true, both},
        {"combine min_size", combined(ps::combine_mode::min_size), outcome::refused, "combine pairs items by their place, which is another one on other ranks\n  HINT: use interleave", true, both},
        {"combine max_size_cycle", combined(ps::combine_mode::max_size_cycle), outcome::refused, "resume in another world: ", true, both},
        {"combine max_size", combined(ps::combine_mode::max_size), outcome::refused, "combine pairs items by their place", true, both},
        {"cache", [](auto&, auto) { return ps::any(ps::range(50) | ps::map([](auto i) { return number(i); }) | ps::cache({.items = 100}) | ps::shuffle(8) | ps::batch(4)); }, outcome::refused,
         "resume in another world: cache counts the items of each rank, and the ranks are others now\n  HINT: leave the stage out"},
    };
}

std::vector<ps::interval> positions(ps::cover const& c) {
    std::vector<ps::interval> all;
    c.each([&](ps::interval i) { all.push_back(i); });
    return all;
}
bool equal(batches const& a, batches const& b) {
    return a.items == b.items && a.ids == b.ids && a.pass == b.pass && a.weights == b.weights && a.source == b.source && positions(a.cover) == positions(b.cover);
}
std::vector<batches> rest(chain& p, std::uint64_t limit = long_enough) {
    std::vector<batches> all;
    while (all.size() != limit) {
        auto b = p.next();
        if (!b) {
            batches last;  // what was dropped behind the last item
            last.cover = p.trailing();
            all.push_back(std::move(last));
            break;
        }
        all.push_back(std::move(*b));
    }
    return all;
}
/// What is the same whatever the order: samples and positions, each with its number of occurrences.
auto contents(std::vector<batches> const& all) {
    std::map<std::pair<std::string, number>, int> samples, places;
    for (auto const& b : all) {
        for (auto const id : b.ids) ++samples[{b.source, id}];
        b.cover.each([&](ps::interval i) {
            while (i.begin != i.end) ++places[{b.source, i.begin++}];
        });
    }
    return std::pair(samples, places);
}

/// A load at every batch of an epoch; the ranks of a world share the positions. What is wrong; empty if nothing is.
std::string same_world(row const& r, disks const& d, std::uint32_t ranks, std::uint64_t index) {
    for (std::uint32_t rank = 0; rank != ranks; ++rank) {
        auto whole = r.make(d, {rank, ranks});
        whole.reset(seed, index);
        auto const expected = rest(whole);
        auto const count = std::min<std::size_t>(expected.size(), expected.size() == long_enough ? 12 : 40);
        auto p = r.make(d, {rank, ranks});
        p.reset(seed, index);
        std::vector<batches> before;
        for (std::size_t k = 0; k != count; ++k, std::ranges::move(rest(p, 1), std::back_inserter(before))) {
            if (k % (ranks * every) != rank) continue;
            auto got = before;
            auto q = r.make(d, {rank, ranks});
            q.load(ps::state::parse(p.save().text()));
            if (k / ranks % 3 == 0) {  // and once more, from where the load put it
                auto again = r.make(d, {rank, ranks});
                again.load(ps::state::parse(q.save().text()));
                q = std::move(again);
            }
            for (auto& b : rest(q, long_enough - k)) got.push_back(std::move(b));
            if (k + 1 == expected.size() && got.size() == expected.size()) got.back().cover = expected.back().cover;  // positions behind the last batch may be told again: the ledger is a set
            if (r.ordered ? !std::ranges::equal(got, expected, equal) : contents(got) != contents(expected)) {
                std::size_t first = 0;
                while (first != got.size() && first != expected.size() && equal(got[first], expected[first])) ++first;
                return ps::message("rank ", rank, " of ", ranks, ", epoch ", index, ": loaded after ", k, " batches, the epoch differs from batch ", first, " on");
            }
        }
    }
    return {};
}

/// An epoch that 3 ranks begin, 2 and 5 go on with, and one ends; each rank stops at a batch of its own.
std::string other_worlds(row const& r, disks const& d, std::uint64_t round) {
    ps::random_stream random(seed, 5, round);
    ps::ledger used;
    std::vector<batches> got;
    for (std::uint32_t const ranks : {3u, 2u, 5u, 1u}) {
        auto committed = used;
        std::optional<std::uint64_t> most;
        std::set<std::size_t> counts;
        for (std::uint32_t rank = 0; rank != ranks; ++rank) {
            auto p = r.make(d, {rank, ranks});
            if (ranks == 3) p.reset(seed, 1);
            else if (r.elsewhere == outcome::refused) {
                auto const text = error_of<ps::state_error>([&] { p.reset(ps::epoch::of(seed, 1), used); });
                return has(text, r.sentence) && has(text, "resume in another world") ? "" : "another world gives: " + text;
            } else p.reset(ps::epoch::of(seed, 1), used);
            auto const stop = ranks == 1 ? long_enough : random.below(12);
            if (rank != 0 && p.world_max() != most) return ps::message("rank ", rank, " of ", ranks, " promises another number of batches than rank 0");
            most = p.world_max();
            auto mine = rest(p, stop);
            if (r.elsewhere == outcome::refused && mine.empty()) mine = rest(p, 1);  // so that there is something to refuse
            counts.insert(mine.size());
            for (auto& b : mine) {
                committed.commit(b);
                got.push_back(std::move(b));
            }
        }
        used = std::move(committed);
    }
    auto const [samples, places] = contents(got);
    bool ended = false;
    for (auto const& [source, n] : r.sources) {
        std::uint64_t here = 0;
        for (number id = 0; id != n; ++id) {
            auto const at = samples.find({source, id});
            auto const times = at == samples.end() ? 0 : at->second;
            auto const due = r.elsewhere == outcome::filtered ? id % 3 == 0 : r.elsewhere == outcome::skipped ? !d.bad.contains(id) : true;
            if (times > 1 || (r.elsewhere != outcome::first && times != due)) return ps::message("sample ", id, " of '", source, "' came ", times, " times");
            here += times != 0;
        }
        ended = ended || here == n;
        if (r.elsewhere == outcome::first) continue;
        for (number at = n; at != 2 * n; ++at)  // pass 1
            if (auto const p = places.find({source, at}); p == places.end() || p->second != 1) return ps::message("position ", at, " of '", source, "' was committed ", p == places.end() ? 0 : p->second, " times");
    }
    if (!ended && r.elsewhere == outcome::first) return "no source has ended";
    return {};
}

}  // namespace

TEST_CASE("resume: the same batches after a load at any position, in worlds of 1 and 3", "[unit][resume][same_world]") {
    disks const d;
    for (auto const& r : rows()) {
        std::string what;
        try {
            for (std::uint32_t const ranks : {1u, 3u})
                if (what.empty()) what = same_world(r, d, ranks, 1);
        } catch (std::exception const& e) {
            what = std::string("threw ") + e.what();
        }
        INFO(r.name);
        CHECK(what == "");
    }
}

TEST_CASE("resume: every sample once when 3, 2, 5 and 1 ranks share an epoch, or a sentence that says what cannot be", "[unit][resume][other_worlds]") {
    disks const d;
    for (auto const& r : rows()) {
        std::string what;
        try {
            for (std::uint64_t round = 0; round != rounds && what.empty(); ++round) what = other_worlds(r, d, round);
        } catch (std::exception const& e) {
            what = std::string("threw ") + e.what();
        }
        INFO(r.name);
        CHECK(what == "");
    }
}

TEST_CASE("resume: a chain that was changed is refused by name, and goes on from the ledger", "[unit][resume]") {
    disks const d;
    auto const saved_by = [&](ps::world w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::batch(4)); };
    auto p = saved_by({0, 1});
    p.reset(seed, 0);
    ps::ledger used;
    std::map<number, int> before;
    for (auto const& b : rest(p, 9)) {
        used.commit(b);
        for (auto const id : b.ids) ++before[id];
    }
    auto const state = p.save();
    struct change {
        std::string sentence;
        std::function<chain(ps::world)> make;
    };
    std::vector<change> const changes{
        {"load: shuffle was saved with window 20, this one has 21\n  HINT: build it with the arguments that were saved", [&](auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(21) | ps::batch(4)); }},
        {"load: batch was saved with n 4, this one has 5\n  HINT: build it with the arguments that were saved", [&](auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::batch(5)); }},
        {"load: the saved state has shuffle.replay#0 where the chain has prefetch.replay\n  HINT: build the same chain", [&](auto w) { return ps::any(d.read(d.a, w) | ps::prefetch(3) | ps::shuffle(20) | ps::batch(4)); }},
        {"load: the saved state has shuffle.replay#0 where the chain has batch.replay\n  HINT: build the same chain", [&](auto w) { return ps::any(d.read(d.a, w) | ps::batch(4)); }},
        {"load: the saved state has batch.replay#0 where the chain has filter\n  HINT: build the same chain", [&](auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::filter([](number) { return true; }) | ps::batch(4)); }},
        {"items pulled again are not the 22 held when the state was saved\n  HINT: the data, or the reading of it, changed since", [&](auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::shuffle(3) | ps::batch(4)); }},
        {"load: the chain has prefetch.replay where the saved state ends\n  HINT: build the same chain", [&](auto w) { return ps::any(d.read(d.a, w) | ps::shuffle(20) | ps::batch(4) | ps::prefetch(2)); }},
    };
    for (auto const& [sentence, make] : changes) {
        auto q = make({0, 1});
        auto const text = error_of<ps::state_error>([&] { q.load(state); });
        INFO(text);
        CHECK(has(text, sentence));
        auto counts = before;
        q.reset(ps::epoch::of(seed, 0), used);
        for (auto const& b : rest(q))
            for (auto const id : b.ids) ++counts[id];
        CHECK(counts.size() == 86);
        CHECK(std::ranges::all_of(counts, [](auto const& one) { return one.second == 1; }));
    }
}

TEST_CASE("resume: data that was changed is refused by shard, with both numbers", "[unit][resume]") {
    disks const d;
    auto const over = [](std::vector<std::string> const& shards, ps::world w = {0, 2}) {
        return ps::any(ps::shard_list(shards) | ps::split_by_rank(w) | ps::shuffle_shards() | ps::read_tar() | ps::map(test::decoded) | ps::shuffle(20) | ps::batch(4));
    };
    auto const shards = d.a.paths();
    auto p = over(shards);
    p.reset(seed, 0);
    (void)rest(p, 5);
    auto const state = p.save();
    auto const refused = [&](std::vector<std::string> const& now, std::string const& sentence, ps::world w = {0, 2}) {
        auto q = over(now, w);
        auto const text = error_of<ps::state_error>([&] { q.load(state); });
        INFO(text);
        CHECK(has(text, "load: read_tar: the state was saved with " + sentence));
        CHECK(has(text, "\n  HINT: "));
        q.reset(seed, 0);  // and is as good as before
        CHECK(q.next());
    };
    auto const with = [&](auto f) {
        auto now = shards;
        f(now);
        return now;
    };
    refused(with([](auto& s) { s.pop_back(); }), "number of shards 7, this plan has 6");
    refused(with([](auto& s) { std::swap(s[0], s[2]); }), "another name or number of samples of shard 0, here " + shards[2] + " with 9 (86 samples in all, here 86)");
    refused(with([&](auto& s) { s[4] = d.b.paths()[1]; }), "another name or number of samples of shard 4, here " + d.b.paths()[1] + " with 11 (86 samples in all, here 93)");
    refused(shards, "rank 0, this plan has 1", {1, 2});
    refused(shards, "world size 2, this plan has 3\n  HINT: start as many ranks as the run that saved it had, or give its ledger to reset(epoch, ledger)", {0, 3});
    auto same = over(shards);  // another seed cannot get in: that of the state counts
    same.reset(seed + 1, 3);
    same.load(state);
    CHECK(same.current() == ps::epoch::of(seed, 0));
    CHECK(std::ranges::equal(rest(same), rest(p), equal));
    // the shard of 9 is replaced by one of 11 under its name: the index notices
    std::filesystem::copy_file(d.b.paths()[1], shards[2], std::filesystem::copy_options::overwrite_existing);
    refused(shards, "another name or number of samples of shard 2, here " + shards[2] + " with 11 (86 samples in all, here 88)");
}
