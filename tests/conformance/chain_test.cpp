// Random chains of 1 to 8 stages: what is saved at any position continues with the same items and errors, over the edge of the epoch too.
#include <conformance/chain_maker.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

#ifdef __SANITIZE_THREAD__  // looks for races alone, and is ten times as slow
constexpr std::uint64_t chains = 400;
#else
constexpr std::uint64_t chains = 2000;
#endif

using lines = std::vector<std::string>;

/// With its positions, unless the chain starts sources again: those keep no ledger, and after a load a position may sit on the item behind.
std::string shown(test::chain_item const& i, bool positions) {
    auto text = ps::message(i.id, '/', i.pass, '/', i.key, '/', i.weight, '=', i.value, ' ');
    if (positions) i.cover.each([&](ps::interval c) { text += ps::message('[', c.begin, ' ', c.end, ')'); });
    return text;
}
/// Items and errors, at most `limit` of them. A chain that fails for ever ends as well.
lines events(test::chain& p, bool positions, std::size_t limit = 5000) {
    lines all;
    while (all.size() < limit) try {
            auto item = p.next();
            if (!item) break;
            all.push_back(shown(*item, positions));
        } catch (std::exception const& e) {
            all.push_back(std::string("error: ") + e.what());
        }
    return all;
}
std::string joined(lines const& all) {
    std::string text;
    for (auto const& l : all) text += l + "; ";
    return text;
}
lines from(lines const& all, std::size_t k) { return {all.begin() + static_cast<std::ptrdiff_t>((std::min)(k, all.size())), all.end()}; }

/// Whether a chain refuses to be built or begun, as a mix with an empty source does.
bool refused(test::recipe const& r, std::uint64_t seed) {
    try {
        auto p = r.make();
        p.reset(seed, 1);
        p.reset(seed, 2);
    } catch (ps::config_error const&) {
        return true;
    }
    return false;
}
/// What is wrong with the chains of a recipe; empty if nothing is.
std::string fault(test::recipe const& r, std::uint64_t seed) {
    bool const positions = true;
    auto p = r.make();
    p.reset(seed, 1);
    auto const all = events(p, positions);
    p.reset(seed, 2);
    auto const following = events(p, positions);
    auto inside = r.make();
    inside.reset(seed, 1);
    lines met;
    auto note = [&](auto&& item) { return met.push_back(shown(item, positions)), true; };
    for (std::size_t tries = 0; tries != 5000; ++tries) try {
            inside.for_each_while(note);
            break;
        } catch (std::exception const& e) {
            met.push_back(std::string("error: ") + e.what());
        }
    if (met != all) return "for_each_while: " + joined(met) + "\n next: " + joined(all);
    for (std::size_t k = 0; k <= all.size() + 1; ++k) {
        auto first = r.make();
        first.reset(seed, 1);
        events(first, positions, k);
        if (k > all.size()) (void)first.next();
        auto const saved = first.save().text();
        auto second = r.make();
        second.load(ps::state::parse(saved));
        auto third = r.make();
        third.load(second.save());
        if (auto const tail = events(third, positions); tail != from(all, k)) return ps::message("loaded and saved at once after ", k, ": ", joined(tail), "\n expected: ", joined(from(all, k)));
        if (auto const tail = events(second, positions); tail != from(all, k)) return ps::message("loaded after ", k, ": ", joined(tail), "\n expected: ", joined(from(all, k)));
        second.reset(seed, 2);
        if (auto const next = events(second, positions); next != following) return ps::message("the epoch after a load at ", k, ": ", joined(next), "\n expected: ", joined(following));
    }
    return {};
}

}  // namespace

TEST_CASE("random chains resume at every position", "[unit][chains]") {
    auto const* const given = std::getenv("PENSTOCK_TEST_SEED");
    auto const seed = given ? std::strtoull(given, nullptr, 10) : 20'240'611;
    WARN("PENSTOCK_TEST_SEED=" << seed << ", " << chains << " chains");
    std::uint64_t refusals = 0;
    std::vector<std::uint64_t> used(test::stage_kinds().size());
    for (std::uint64_t i = 0; i != chains; ++i) {
        auto const r = test::recipe::draw(seed, i);
        if (refused(r, seed)) {
            ++refusals;
            continue;
        }
        for (auto const& s : r.steps) ++used[s.kind];
        std::string what;
        try {
            what = fault(r, seed);
        } catch (std::exception const& e) {
            what = std::string("threw ") + e.what();
        }
        if (!what.empty()) FAIL("chain " << i << ": " << r.text() << "\n " << what);
    }
    for (auto const n : used) CHECK(n > chains / 100);
    CHECK(refusals < chains / 20);
}
