// 09: several data sets in one stream, each with its share.
//
//   photos (12) ----- weight 6 --+
//   drawings (4) ---- weight 3 --+--> interleave ---> one stream: of every 10 items 6 photos, 3 drawings, 1 map
//   maps (3) -------- weight 1 --+
//
#include <penstock/penstock.hpp>

#include <iostream>
#include <map>
#include <string>

namespace ps = penstock;

// n pictures of a kind: "p0", "p1", ... in a new order every epoch.
auto pictures(std::string const& kind, std::int64_t n) {
    return ps::range(n) | ps::map([kind](std::int64_t i) { return kind + std::to_string(i); }) | ps::shuffle(4);
}

auto mixed(ps::interleave_options options) {
    return ps::interleave(options, ps::named("photos", 6, pictures("p", 12)), ps::named("drawings", 3, pictures("d", 4)), ps::named("maps", 1, pictures("m", 3)));
}

template <class Pipeline>
void show(char const* what, Pipeline p) {
    p.reset(/*seed*/ 2, /*epoch*/ 0);
    std::cout << what << ':';
    for (auto const& picture : p) std::cout << ' ' << picture;
    std::cout << '\n';
}

int main() {
    // The rule says when the stream ends, and what becomes of a source that ends before.
    show("first ends     ", mixed({.stop = ps::stop_rule::first}));              // the shares are right to the end, pictures are left over
    show("all, each once ", mixed({.stop = ps::stop_rule::all}));                // every picture once, the shares shift as sources leave
    show("all, restarting", mixed({.stop = ps::stop_rule::all_restart}));        // short sources start again until all have ended once
    show("for ever, 24   ", mixed({.stop = ps::stop_rule::forever}) | ps::take(24));

    // Exact picks: however far you read, every source is within one item of its share. Random ones are as far off as dice are.
    for (auto const rule : {ps::picks::exact, ps::picks::random}) {
        auto p = mixed({.stop = ps::stop_rule::forever, .picks = rule});
        p.reset(2, 0);
        std::map<char, int> count;
        for (int i = 0; i != 100; ++i) ++count[p.next()->front()];
        std::cout << (rule == ps::picks::exact ? "exact" : "random") << " picks, 100 items:";
        for (auto const& [kind, n] : count) std::cout << ' ' << kind << ' ' << n;
        std::cout << '\n';
    }

    // Its position is a few integers per source, so it goes on where it was, like everything else.
    auto p = mixed({.stop = ps::stop_rule::all_restart}), q = mixed({.stop = ps::stop_rule::all_restart});
    p.reset(2, 0);
    for (int i = 0; i != 7; ++i) (void)p.next();
    q.load(p.save());
    std::cout << "resumed: " << (*p.next() == *q.next() ? "the same picture next" : "ANOTHER picture next") << '\n';
}

// Output:
//   first ends     : p0 p3 d0 p2 d2 p4 p6 d1 p7 m0 p1 p11 d3
//   all, each once : p0 p3 d0 p2 d2 p4 p6 d1 p7 m0 p1 p11 d3 p9 p10 p8 p5 m1 m2
//   all, restarting: p0 p3 d0 p2 d2 p4 p6 d1 p7 m0 p1 p11 d3 p9 d0 p10 p8 d2 p5 m1 p5 p4 d1 p1 d3 p8 p3 d2 p9 m2
//   for ever, 24   : p0 p3 d0 p2 d2 p4 p6 d1 p7 m0 p1 p11 d3 p9 d0 p10 p8 d2 p5 m1 p5 p4 d1 p1
//   exact picks, 100 items: d 30 m 10 p 60
//   random picks, 100 items: d 28 m 4 p 68
//   resumed: the same picture next
