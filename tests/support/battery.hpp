// Implements: battery(stage_case) and battery(source_case), the contract that every stage and every source keeps; fourteen checks.
//
// A stage registers itself in tests/<room>/<header>_test.cpp:
//
//     test::battery(test::stage_case{
//         .name = "take(3)",
//         .make = [](auto src) { return std::move(src) | ps::take(3); },
//         .model = [](std::vector<int> in) { in.resize(std::min<std::size_t>(in.size(), 3)); return in; },
//     });
//
//   make     gets a pipeline of numbers (0, 1, ... + 10000 * epoch), and also one of keyed<int> and one of move_only: its functions take auto
//            and reach the number with test::number(item). A stage over other items says `.input = [](int i) { return item; }`
//            (a keyed item is given its id, pass, key and cover) and `.move_only = std::false_type{}`.
//   model    what a plain loop makes of the numbers of one epoch, as a vector; model(in, facts) gets the epoch as well.
//   permutes / drops / resumes    what the stage is allowed to do.
//   show     text of an item, where test::shown does not know it.
//
// A stage with threads: make(src, workers) beside or instead of make(src), built with 1, 2 and 8 workers; `.rounds = 100` for its teardown.
//
// A source registers `.make = [](int n, ps::world w) { return pipeline; }` and `.model = [](int n, test::facts const& f) { return items of f.world; }`
// in a source_case; `.broken = [](int n, int j) { return pipeline; }` gives one whose item j is unreadable and whose error names key or shard.
#pragma once

#include <support/examiner.hpp>  // defines: examiner, world_checks, shown, number, failure
#include <support/sources.hpp>   // defines: debug_source, planned_source, bare_source, as_keyed, as_move_only

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::test {

/// What a model may depend on beside the numbers.
struct facts {
    penstock::epoch epoch{};
    penstock::world world{};
    bool rewinds = true;  ///< false over a source without reset, where no stage hears of an epoch
};

template <class Make, class Model, class Input = as_is, class Movable = std::true_type, class Show = shown>
struct stage_case {
    std::string name;
    Make make;
    Model model;
    Input input{};
    Movable move_only{};
    Show show{};
    bool permutes = false;  ///< items leave in another order
    bool drops = false;     ///< not every item is delivered
    bool resumes = true;    ///< can be saved
    int rounds = 3;         ///< of early destruction
    std::vector<int> sizes{0, 1, 2, 7, 64};
};

struct never_broken {};

template <class Make, class Model, class Broken = never_broken, class Show = shown>
struct source_case {
    std::string name;
    Make make;
    Model model;
    Broken broken{};
    Show show{};
    bool permutes = false;
    bool drops = false;
    bool resumes = true;
    int rounds = 3;
    std::vector<int> sizes{0, 1, 2, 7, 64};
};

namespace detail {

template <class Case, class Items>
lines shown_all(Case const& c, Items const& items) {
    lines all;
    for (auto const& i : items) all.push_back(c.show(i));
    return all;
}

inline std::vector<int> numbers(source_spec const& s, std::uint64_t epoch_index, bool without_errors) {
    std::vector<int> in;
    for (int slot = s.first(); slot != s.last(); ++slot)
        if (!without_errors || std::find(s.errors.begin(), s.errors.end(), slot) == s.errors.end()) in.push_back(slot + 10000 * static_cast<int>(epoch_index));
    return in;
}

template <class Case>
lines stage_model(Case const& c, source_spec const& s, penstock::epoch e, [[maybe_unused]] bool rewinds = true) {
    auto in = numbers(s, e.index, true);
    if constexpr (requires { c.model(std::move(in), facts{}); }) return shown_all(c, c.model(std::move(in), facts{e, s.world, rewinds}));
    else return shown_all(c, c.model(std::move(in)));
}

template <class Case, class Source>
auto made(Case const& c, Source source, [[maybe_unused]] int workers = 2) {
    auto make = c.make;
    if constexpr (requires { make(pipeline(std::move(source)), workers); }) return make(pipeline(std::move(source)), workers);
    else return make(pipeline(std::move(source)));
}

template <class Examiner, class Case, class Build, class Model>
void error_checks(Examiner& x, Case const& c, Build build, Model model) {
    for (auto const& [n, errors] : std::vector<std::pair<int, std::vector<int>>>{{1, {0}}, {2, {1}}, {7, {0}}, {7, {3}}, {7, {6}}, {7, {2, 3}}, {7, {0, 1, 2, 3, 4, 5, 6}}, {64, {20, 40}}})
        x.guarded(7, n, [&, n = n, errors = errors] {
            auto s = x.spec(n, errors);
            auto const log = s.log;
            auto const what = message("n = ", n, ", first error at ", errors[0], ", ", errors.size(), " in all");
            auto p = build(s);
            p.reset(seed, 0);
            auto const all = x.events(p);
            lines items;
            std::size_t met = 0, before = 0;
            for (auto const& e : all) {
                if (!is_error(e)) items.push_back(e);
                else if (met++ == 0) before = items.size();
                if (is_error(e) && (e.find("part.tar") == e.npos || e.find("'k") == e.npos)) x.fail(7, message(what, ": the error does not name shard and key: ", e));
            }
            if (met != log->thrown) x.fail(7, message(what, ": ", log->thrown.load(), " errors were thrown, ", met, " arrived"));
            auto wanted = model(s, epoch::of(seed, 0));
            if (c.permutes) x.same(7, sorted(items), sorted(wanted), what);
            else {
                x.same(7, items, wanted, what);
                auto intact = s;
                intact.errors.clear();
                auto start = model(intact, epoch::of(seed, 0));
                start.resize((std::min)(start.size(), before));
                x.same(7, lines(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(before)), start, what + ": the items before the first error");
            }
        });
    for (auto const& errors : std::vector<std::vector<int>>{{0}, {6}, {2, 3}, {0, 4, 6}}) x.guarded(4, 7, [&] { x.resumes_everywhere(7, errors); });
    x.guarded(4, 40, [&] { x.resumes_everywhere(40, {3, 17, 18, 39}); });
}

inline void report(std::string const& name, std::vector<failure> const& all) {
    if (all.empty()) return;
    std::string text = message(name, " breaks its contract, ", all.size(), " findings:");
    for (std::size_t i = 0; i != all.size() && i != 12; ++i) text += message("\n  check ", all[i].check, ": ", all[i].text);
    throw std::runtime_error(text);
}

}  // namespace detail

/// All findings of the battery for a stage; empty if it keeps the contract.
template <class... C>
std::vector<failure> findings(stage_case<C...> const& c) {
    std::vector<failure> out;
    auto input = c.input;
    using input_type = decltype(input);
    auto build = [&c, input](source_spec s) { return detail::made(c, debug_source<input_type>(std::move(s), input)); };
    auto model = [&c](source_spec const& s, epoch e) { return detail::stage_model(c, s, e); };
    detail::examiner x(c, out, build, model);

    x.guarded(1, 1, [&] {
        auto const before = detail::threads();
        auto s = x.spec(1);
        s.panics = true;
        auto const log = s.log;
        auto p = build(s);
        if (log->pulls != 0) x.fail(1, "building pulls an item");
        if (detail::threads() != before) x.fail(1, "building starts a thread");
    });
    x.shared_checks();
    x.guarded(2, 7, [&] {
        auto p = detail::made(c, bare_source<debug_source<input_type>>{debug_source<input_type>(x.spec(7), input)});
        x.same(2, x.events(p), detail::stage_model(c, x.spec(7), epoch{}, false), "over a source with next() alone");
        if constexpr (requires { p.save(); })  // any_pipeline refuses when it is asked
            if (error_of<config_error>([&] { return p.save(); }).empty()) x.fail(5, "it saves a position over a source that has none");
    });
    detail::error_checks(x, c, build, model);
    if constexpr (requires { c.make(pipeline(debug_source<input_type>({}, input)), 1); })
        for (int const n : c.sizes)
            x.guarded(12, n, [&] {
                auto run = [&](int workers) {
                    auto p = detail::made(c, debug_source<input_type>(x.spec(n), input), workers);
                    p.reset(detail::seed, 0);
                    return x.events(p);
                };
                auto const one = run(1);
                for (int const workers : {2, 8}) x.same(12, run(workers), one, message("n = ", n, " with ", workers, " workers"));
            });
    if constexpr (decltype(c.move_only)::value)
        for (int const n : c.sizes)
            x.guarded(9, n, [&] {
                auto p = detail::made(c, debug_source<as_move_only>(x.spec(n)));
                x.same(9, x.events(p), model(x.spec(n), epoch{}), message("n = ", n, ", items that only move"));
            });
    detail::world_checks(x, c, [&](source_spec s) {
        auto const n = s.n;
        return detail::made(c, planned_source<as_keyed<input_type>>(std::move(s), as_keyed<input_type>{input, n}));
    });
    return out;
}

/// All findings of the battery for a source; checks 1 (in part), 7 (if `broken` is given) and 9 (not) depend on the case.
template <class... C>
std::vector<failure> findings(source_case<C...> const& c) {
    std::vector<failure> out;
    auto build = [&c](source_spec const& s) { return c.make(s.n, s.world); };
    auto model = [&c](source_spec const& s, epoch e) { return detail::shown_all(c, c.model(s.n, facts{e, s.world})); };
    detail::examiner x(c, out, build, model);
    x.guarded(1, 7, [&] {
        auto const before = detail::threads();
        [[maybe_unused]] auto p = build(x.spec(7));
        if (detail::threads() != before) x.fail(1, "building starts a thread");
    });
    x.shared_checks();
    if constexpr (requires { c.broken(7, 3); })
        for (int const j : {0, 3, 6})
            x.guarded(7, 7, [&] {
                auto p = c.broken(7, j);
                p.reset(detail::seed, 0);
                auto const all = x.events(p);
                auto const errors = std::count_if(all.begin(), all.end(), detail::is_error);
                if (errors == 0) x.fail(7, message("item ", j, " is unreadable, but no error came"));
                auto again = c.broken(7, j);
                again.reset(detail::seed, 0);
                x.same(7, x.events(again), all, message("item ", j, " is unreadable: a second run"));
            });
    using item = typename decltype(build(x.spec(0)))::item_type;
    if constexpr (is_keyed<item>) detail::world_checks(x, c, build);
    return out;
}

/// Throws what the battery finds; nothing if the contract is kept.
template <class... C>
void battery(stage_case<C...> const& c) {
    detail::report(c.name, findings(c));
}
template <class... C>
void battery(source_case<C...> const& c) {
    detail::report(c.name, findings(c));
}

}  // namespace penstock::test
