// Implements: battery(stage_case) and battery(source_case), the contract that every stage and every source keeps; fifteen checks.
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

#include <penstock/core/any_pipeline.hpp>  // defines: any
#include <support/examiner.hpp>  // defines: examiner, subject, shown, number, failure
#include <support/sources.hpp>   // defines: debug_source, planned_source, bare_source, as_keyed, as_move_only

#include <cstdint>
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
template <class Case>
lines stage_model(Case const& c, source_spec const& s, penstock::epoch e, [[maybe_unused]] bool rewinds = true) {
    auto in = numbers(s, e.index, true);
    if constexpr (requires { c.model(std::move(in), facts{}); }) return shown_all(c, c.model(std::move(in), facts{e, s.world, rewinds}));
    else return shown_all(c, c.model(std::move(in)));
}
template <class Case, class Source>
subject_ptr made(Case const& c, Source source, [[maybe_unused]] int workers = 2) {
    auto make = c.make;
    if constexpr (requires { make(pipeline(std::move(source)), workers); }) return erased(make(pipeline(std::move(source)), workers), c.show);
    else return erased(make(pipeline(std::move(source))), c.show);
}
/// The same stage between two any().
template <class Case, class Source>
subject_ptr made_behind_any(Case const& c, Source source) {
    auto make = c.make;
    auto before = any(pipeline(std::move(source)));
    if constexpr (requires { make(std::move(before), 2); }) return erased(any(make(std::move(before), 2)), c.show);
    else return erased(any(make(std::move(before))), c.show);
}
template <class Case>
allowances allowed(Case const& c) {
    return {c.permutes, c.drops, c.resumes, c.rounds, c.sizes};
}

}  // namespace detail

/// All findings of the battery for a stage; empty if it keeps the contract.
template <class... C>
std::vector<failure> findings(stage_case<C...> const& c) {
    std::vector<failure> out;
    auto input = c.input;
    using input_type = decltype(input);
    auto source = [input](source_spec const& s) { return debug_source<input_type>(s, input); };
    auto model = [&c](source_spec const& s, epoch e) { return detail::stage_model(c, s, e); };
    auto examine = [&](model_of m) { return detail::examiner(detail::allowed(c), out, [&c, source](source_spec const& s) { return detail::made(c, source(s)); }, std::move(m)); };
    auto x = examine(model);
    x.is_lazy();
    x.shared_checks();
    x.error_checks();
    examine([&c](source_spec const& s, epoch e) { return detail::stage_model(c, s, e, false); })
        .equals_model(2, [&](source_spec const& s) { return detail::made(c, bare_source<debug_source<input_type>>{source(s)}); }, "over a source with next() alone", false);
    if constexpr (requires { c.make(pipeline(source({})), 1); }) x.workers([&](source_spec const& s, int workers) { return detail::made(c, source(s), workers); });
    if constexpr (decltype(c.move_only)::value)
        x.equals_model(9, [&c](source_spec const& s) { return detail::made(c, debug_source<as_move_only>(s)); }, "items that only move", true);
    auto planned = [input](source_spec const& s) { return planned_source<as_keyed<input_type>>(s, as_keyed<input_type>{input, s.n}); };
    x.world_checks([&](source_spec const& s) { return detail::made(c, planned(s)); });
    x.any_says_the_same([&](source_spec const& s) { return detail::made(c, planned(s)); }, [&](source_spec const& s) { return detail::made_behind_any(c, planned(s)); });
    return out;
}

/// All findings of the battery for a source; checks 1 (in part), 7 (if `broken` is given) and 9 (not) depend on the case.
template <class... C>
std::vector<failure> findings(source_case<C...> const& c) {
    std::vector<failure> out;
    auto build = [&c](source_spec const& s) { return erased(c.make(s.n, s.world), c.show); };
    detail::examiner x(detail::allowed(c), out, build, [&c](source_spec const& s, epoch e) { return detail::shown_all(c, c.model(s.n, facts{e, s.world})); });
    x.guarded(1, 7, [&] {
        auto const before = detail::threads();
        [[maybe_unused]] auto p = build(x.spec(7));
        if (detail::threads() != before) x.fail(1, "building starts a thread");
    });
    x.shared_checks();
    if constexpr (requires { c.broken(7, 3); }) x.is_broken_alike([&c](int j) { return erased(c.broken(7, j), c.show); });
    if constexpr (is_keyed<typename decltype(c.make(0, world{}))::item_type>) x.world_checks(build);
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
