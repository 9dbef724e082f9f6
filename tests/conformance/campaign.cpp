// Random chains over damaged shards, in random worlds, saved, loaded and cut anew: every position accounted for once, every sample delivered once.
//
//   campaign                                2,000 configurations
//   campaign --count N [--seed S] [--from K]
//   campaign --seed S --config K            one of them, with what it consists of; what a failure prints
//
// A configuration that fails is made smaller, stage by stage, while it still fails. One that does not end is ended with its recipe.
#include <conformance/campaign_world.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using test::config;
using test::event;
using events = std::vector<event>;

struct wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};
template <class... A>
[[noreturn]] void fail(A const&... parts) {
    throw wrong(ps::message(parts...));
}

/// Random numbers of one question about one configuration.
ps::random_stream dice(config const& c, std::uint64_t question) { return ps::random_stream(c.seed, question, c.number); }
std::uint64_t below(ps::random_stream& random, std::uint64_t n) { return n == 0 ? 0 : random.below(static_cast<std::uint32_t>(n)); }

/// How often each position and each sample came, per source.
struct accounts {
    std::map<std::uint64_t, int> places, ids;

    void add(event const& e) {
        e.cover.each([&](ps::interval i) {
            for (auto at = i.begin; at != i.end; ++at) ++places[at];
        });
        for (auto const id : e.ids) ++ids[id];
    }
    void add(events const& all) {
        for (auto const& e : all) add(e);
    }
};
std::string place_text(std::uint64_t at) { return ps::message("position ", at % test::source_step, " of source ", at / test::source_step); }

/// No position twice; where the chain reads its sources to their ends, none missing in `epochs` from `first` on.
void check_places(config const& c, accounts const& got, std::uint64_t first, std::uint64_t epochs, char const* when) {
    for (auto const& [at, n] : got.places)
        if (n != 1) fail(when, ": ", place_text(at), " was told ", n, " times");
    if (!c.whole()) return;
    std::uint64_t expected = 0;
    for (std::size_t s = 0; s != c.sources.size(); ++s) {
        auto const length = c.times(s) * c.epoch_length(s);
        for (auto at = first * length; at != (first + epochs) * length; ++at, ++expected)
            if (!got.places.contains(s * test::source_step + at)) fail(when, ": ", place_text(s * test::source_step + at), " was not told");
    }
    if (expected != got.places.size()) fail(when, ": ", got.places.size() - expected, " positions of other epochs were told");
}
/// The samples of the epochs, as the shards alone give them to one rank.
void check_ids(config const& c, accounts const& got, std::uint64_t first, std::uint64_t epochs, char const* when) {
    if (c.any(&test::traits::repeats)) return;
    std::map<std::uint64_t, int> due;
    for (std::size_t s = 0; s != c.sources.size(); ++s)
        for (auto e = c.times(s) * first; e != c.times(s) * (first + epochs); ++e)
            for (auto const id : c.ids(s, e)) ++due[id];
    bool const all = c.whole() && !c.any(&test::traits::drops);
    for (auto const& [id, n] : got.ids)
        if (auto const at = due.find(id); at == due.end() || n > at->second) {
            if (!c.goes_on()) fail(when, ": sample ", id, " came ", n, " times, not ", at == due.end() ? 0 : at->second);
        }
    if (!all) return;
    for (auto const& [id, n] : due)
        if (auto const at = got.ids.find(id); at == got.ids.end() || at->second != n) fail(when, ": sample ", id, " came ", at == got.ids.end() ? 0 : at->second, " times, not ", n);
}

std::size_t first_difference(events const& a, events const& b) {
    std::size_t i = 0;
    while (i != a.size() && i != b.size() && a[i].text == b[i].text) ++i;
    return i;
}
std::string at(events const& all, std::size_t i) { return i < all.size() ? all[i].text : std::string("nothing"); }
void same(config const& c, events const& got, events const& wanted, std::string const& when) {
    if (c.any(&test::traits::unordered)) {
        accounts a, b;
        a.add(got);
        b.add(wanted);
        for (auto const& [place, n] : a.places)
            if (n != 1) fail(when, ": ", place_text(place), " was told ", n, " times");
        if (!c.whole()) return;  // what is cut off is another part in every run
        if (a.places != b.places) fail(when, ": other positions are told");
        if (a.ids != b.ids && !c.any(&test::traits::repeats) && !c.any(&test::traits::drops)) fail(when, ": other samples come");
        return;
    }
    auto const i = first_difference(got, wanted);
    if (i != got.size() || i != wanted.size()) fail(when, ": event ", i, " is ", at(got, i), ", expected ", at(wanted, i));
}

/// What the ranks promise, and how many items they yield.
struct promise {
    std::optional<std::uint64_t> most;
    std::optional<std::size_t> items;

    void of_rank(config const& c, std::uint32_t rank, std::optional<std::uint64_t> mine, events const* all, char const* when) {
        if (rank == 0) most = mine;
        if (mine != most) fail(when, ": rank ", rank, " promises ", mine ? std::to_string(*mine) : "nothing", ", rank 0 ", most ? std::to_string(*most) : "nothing");
        if (!all) return;
        auto const n = static_cast<std::size_t>(std::ranges::count_if(*all, [](event const& e) { return e.item; }));
        if (mine && n > *mine) fail(when, ": rank ", rank, " yields ", n, " items, and promised at most ", *mine);
        if (!c.level() || !mine || std::ranges::any_of(*all, [](event const& e) { return !e.item && !e.end; })) return;
        if (n != *mine) fail(when, ": rank ", rank, " yields ", n, " batches, and promised ", *mine);
    }
};

/// Epochs of every rank; the first life of everything else.
std::vector<std::vector<events>> whole_epochs(config const& c) {
    std::vector<std::vector<events>> all(c.ranks);  // [rank][epoch]
    std::vector<promise> said(c.epochs);
    for (std::uint32_t r = 0; r != c.ranks; ++r) {
        auto p = c.make({r, c.ranks});
        for (std::uint64_t e = 0; e != c.epochs; ++e) {
            test::reset(p, ps::epoch::of(c.seed, c.first_epoch + e));
            auto const most = test::world_max(p);
            all[r].push_back(test::pull(p));
            said[e].of_rank(c, r, most, &all[r].back(), "whole epochs");
        }
    }
    accounts sum;
    for (std::uint64_t e = 0; e != c.epochs; ++e) {
        accounts one;
        for (auto const& rank : all) one.add(rank[e]), sum.add(rank[e]);
        if (c.goes_on()) continue;
        check_places(c, one, c.first_epoch + e, 1, "whole epochs");
        check_ids(c, one, c.first_epoch + e, 1, "whole epochs");
    }
    if (c.goes_on() && !c.skips_passes()) check_places(c, sum, c.first_epoch, c.epochs, "epochs that go on");
    return all;
}

void other_threads(config const& c, std::vector<std::vector<events>> const& wanted) {
    for (std::uint32_t r = 0; r != c.ranks; ++r) {
        auto p = c.make({r, c.ranks}, 3);
        for (std::uint64_t e = 0; e != c.epochs; ++e) {
            test::reset(p, ps::epoch::of(c.seed, c.first_epoch + e));
            same(c, test::pull(p), wanted[r][e], ps::message("several threads, rank ", r, ", epoch ", e));
        }
    }
}
void inside(config const& c, std::vector<std::vector<events>> const& wanted) {
    for (std::uint32_t r = 0; r != c.ranks; ++r) {
        auto p = c.make({r, c.ranks});
        test::reset(p, ps::epoch::of(c.seed, c.first_epoch));
        same(c, test::pull_inside(p), wanted[r][0], ps::message("for_each_while, rank ", r));
    }
}
/// Saved at a place, loaded, read on, saved there, loaded, ...; the last one reads to the end, and the epoch behind it.
void resumed(config const& c, std::vector<std::vector<events>> const& wanted) {
    auto random = dice(c, 11);
    for (std::uint32_t r = 0; r != c.ranks; ++r)
        for (int round = 0; round != 2; ++round) {
            auto const e = below(random, c.epochs);
            auto const& all = wanted[r][e];
            auto const threads = 1 + static_cast<std::int64_t>(2 * below(random, 2));
            auto p = c.make({r, c.ranks}, threads);
            for (std::uint64_t before = c.goes_on() ? 0 : e; before <= e; ++before) {
                test::reset(p, ps::epoch::of(c.seed, c.first_epoch + before));
                if (before != e) (void)test::pull(p);
            }
            std::size_t k = 0;
            std::string path;
            events got;
            auto const over = [&] { return !got.empty() && got.back().end; };  // in another order, what is dropped may be another number of items
            for (auto loads = 1 + below(random, 3); loads != 0; --loads) {
                auto const step = below(random, all.size() - k + 1);
                if (!over())
                    for (auto& one : test::pull(p, step)) got.push_back(std::move(one));
                k += step;
                path += ps::message(path.empty() ? "" : ", ", k);
                auto const saved = test::save(p).text();
                auto q = c.make({r, c.ranks}, threads);
                test::load(q, ps::state::parse(saved));
                p = std::move(q);
            }
            auto const when = ps::message("loaded on rank ", r, " in epoch ", e, " at ", path);
            if (!over())
                for (auto& one : test::pull(p, ~std::size_t{0})) got.push_back(std::move(one));
            same(c, got, all, when);
            if (e + 1 == c.epochs) continue;
            test::reset(p, ps::epoch::of(c.seed, c.first_epoch + e + 1));
            same(c, test::pull(p), wanted[r][e + 1], when + ", the epoch behind it");
        }
}
/// The same at every place of rank 0's first epoch.
void resumed_everywhere(config const& c, events const& wanted) {
    for (std::size_t k = 0; k <= wanted.size(); ++k) {
        auto p = c.make({0, c.ranks}), q = c.make({0, c.ranks});
        test::reset(p, ps::epoch::of(c.seed, c.first_epoch));
        auto got = test::pull(p, k);
        test::load(q, ps::state::parse(test::save(p).text()));
        if (k != wanted.size())
            for (auto& one : test::pull(q, ~std::size_t{0})) got.push_back(std::move(one));
        same(c, got, wanted, ps::message("loaded on rank 0 at ", k));
    }
}
/// An epoch that several worlds share, one after the other; false if the chain refuses, with a sentence.
bool cut_anew(config const& c) {
    auto random = dice(c, 12);
    auto const e = ps::epoch::of(c.seed, c.first_epoch);
    accounts got;
    ps::ledger used;
    auto const lives = 2 + below(random, 3);
    for (std::uint64_t life = 0; life != lives; ++life) {
        auto const ranks = life == 0 ? c.ranks : 1 + static_cast<std::uint32_t>(below(random, c.large ? 40 : 5));
        bool const last = life + 1 == lives;
        promise said;
        ps::ledger committed = used;
        std::vector<events> told;
        for (std::uint32_t r = 0; r != ranks; ++r) {
            auto make = [&] { return c.make({r, ranks}, 1 + 2 * static_cast<std::int64_t>(below(random, 2))); };
            auto p = make();
            if (life == 0) test::reset(p, e);
            else try {
                    test::reset(p, e, used);
                } catch (ps::state_error const& error) {
                    std::string const text = error.what();
                    if (text.find("resume in another world") == text.npos || text.find("HINT") == text.npos) fail("another world is refused with: ", text);
                    if (!c.any(&test::traits::here)) fail("another world is refused by a chain that goes on there: ", text);
                    return false;
                }
            auto const most = test::world_max(p);
            events mine;
            auto stop = last ? ~std::size_t{0} : static_cast<std::size_t>(below(random, 30));
            if (below(random, 3) == 0) {  // and in the middle of it, a load
                auto const k = (std::min)(stop, static_cast<std::size_t>(below(random, 12)));
                mine = test::pull(p, k);
                bool const over = !mine.empty() && mine.back().end;
                auto const state = ps::state::parse(test::save(p).text());
                auto q = make();
                if (life == 0) test::load(q, state);
                else test::load(q, state, used);
                p = std::move(q);
                stop = over ? 0 : stop - k;
            }
            for (auto& one : test::pull(p, stop)) mine.push_back(std::move(one));
            said.of_rank(c, r, most, last ? &mine : nullptr, "another world");
            got.add(mine);
            for (auto const& one : mine) c.commit(committed, one);
        }
        used = std::move(committed);
    }
    check_places(c, got, c.first_epoch, 1, "shared by several worlds");
    if (!c.any(&test::traits::again)) check_ids(c, got, c.first_epoch, 1, "shared by several worlds");
    return true;
}

enum class result { fine, refused_to_build, refused_elsewhere };

result examine(config const& c) {
    std::vector<std::vector<events>> all;
    try {
        all = whole_epochs(c);
    } catch (ps::config_error const& e) {
        if (std::string(e.what()).find("HINT") == std::string::npos) fail("refused without a hint: ", e.what());
        return result::refused_to_build;
    }
    if (c.threads()) other_threads(c, all);
    inside(c, all);
    resumed(c, all);
    if (c.number % 16 == 0 && !c.any(&test::traits::unordered)) resumed_everywhere(c, all[0][0]);
    return cut_anew(c) ? result::fine : result::refused_elsewhere;
}
std::string fault(config const& c, result* out = nullptr) {
    try {
        auto const r = examine(c);
        if (out) *out = r;
        return {};
    } catch (wrong const& e) {
        return e.what();
    } catch (ps::state_error const& e) {
        std::string const text = e.what();  // the one position that cannot be saved, and says so
        if (c.any(&test::traits::unordered) && text.starts_with("save: ") && text.find("parallel_map({.ordered = false})") != text.npos) return {};
        return "threw: " + text;
    } catch (ps::config_error const& e) {
        std::string const text = e.what();  // an epoch that cannot be left in the middle, and says so
        if (c.any(&test::traits::unordered) && text.starts_with("parallel_map, unordered: the epoch is left in the middle")) return {};
        if (text.find("must have an item, got an empty one") != text.npos) return {};  // what a rule that restarts says of an empty source, whenever it shows
        return "threw: " + text;
    } catch (std::exception const& e) {
        return std::string("threw: ") + e.what();
    }
}
/// The smallest configuration, by leaving things out, that still fails.
config shrunk(config c) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (auto const& less : c.smaller())
            if (!fault(less).empty()) {
                c = less;
                smaller = true;
                break;
            }
    }
    return c;
}

std::atomic<std::uint64_t> at_work{0};
char recipe[200] = "";

void note(std::uint64_t seed, std::uint64_t number) {
    std::snprintf(recipe, sizeof recipe, "\ncampaign: ended in  --seed %llu --config %llu\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(number));
    ++at_work;
}
extern "C" void tell_recipe(int signal) {
    (void)!write(2, recipe, std::strlen(recipe));
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}
/// Ends the program when a configuration takes longer than that.
void watch(std::chrono::seconds limit) {
    std::thread([=] {
        for (auto seen = at_work.load();; seen = at_work.load()) {
            auto const from = std::chrono::steady_clock::now();
            while (at_work == seen) {
                std::this_thread::sleep_for(std::chrono::milliseconds(200));
                if (std::chrono::steady_clock::now() - from > limit) std::abort();
            }
        }
    }).detach();
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 20'261'201, from = 0, count = 2000, keep_on = 1;
    bool one = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        auto const value = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::string_view(argv[i]) == "--seed") seed = value;
        else if (std::string_view(argv[i]) == "--count") count = value;
        else if (std::string_view(argv[i]) == "--from") from = value;
        else if (std::string_view(argv[i]) == "--failures") keep_on = value;
        else if (std::string_view(argv[i]) == "--config") from = value, count = 1, one = true;
        else return std::cerr << "campaign: what is " << argv[i] << "?\n", 2;
    }
    for (int const s : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(s, tell_recipe);
    watch(std::chrono::seconds(120));
    std::uint64_t failures = 0, refused = 0, elsewhere = 0;
    for (auto k = from; k != from + count && failures != keep_on; ++k) {
        note(seed, k);
        auto const c = config::draw(seed, k);
        if (one) std::cout << c.text() << std::endl;
        auto r = result::fine;
        auto const what = fault(c, &r);
        refused += r == result::refused_to_build;
        elsewhere += r == result::refused_elsewhere;
        if (what.empty()) continue;
        ++failures;
        auto const least = shrunk(c);
        std::cout << "--seed " << seed << " --config " << k << '\n' << "  " << what << "\n  at least: " << least.text() << "\n  " << fault(least) << std::endl;
    }
    std::cout << count << " configurations from " << from << " with seed " << seed << ": " << failures << " wrong, " << refused << " refused when built, " << elsewhere << " refused by another world" << std::endl;
    if (!one && refused > count / 4) return std::cerr << "campaign: too many were refused\n", 1;
    return failures == 0 ? 0 : 1;
}
