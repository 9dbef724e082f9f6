// Implements: stages and how they chain: stage(name, f), terminal(f), stage_of<T>, stage_over<S>, operator| and by_ref.
#pragma once

#include <penstock/core/errors.hpp>    // defines: config_error, message
#include <penstock/core/keyed.hpp>     // defines: keyed, value, rewrap
#include <penstock/core/pipeline.hpp>  // defines: pipeline; and the protocol of source.hpp
#include <penstock/core/probe.hpp>     // defines: probe, watched_from
#include <penstock/core/stats.hpp>     // defines: watched, stats_report

#include <cstdint>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace penstock {

/// A value that may stand at the head of a chain without being a source yet: a plan of shards says `using plan_type = void`.
template <class T>
concept plan_value = requires { typename T::plan_type; };

/// A stage waiting for its input. A value: copied, named, joined with `|` and reused (moved, if its functions only move).
template <class Build, bool OverPlans = false>
struct [[nodiscard("a stage does nothing until a source is piped into it")]] stage_closure {
    char const* name;  ///< for messages and figures; a literal
    Build build;
};
/// The end of a chain, waiting for its input; applying it runs the chain.
template <class Build, bool OverPlans = false>
struct [[nodiscard("a terminal does nothing until a source is piped into it")]] terminal_closure {
    Build build;
};

/// A stage from `build(source) -> source`, the source before it by value. `name`: a literal.
template <class Build>
auto stage(char const* name, Build build) {
    return stage_closure<Build>{name, std::move(build)};
}
/// The same from `build(source or plan) -> source or plan`: build checks what it is given.
template <class Build>
auto plan_stage(char const* name, Build build) {
    return stage_closure<Build, true>{name, std::move(build)};
}
/// A terminal from `build(pipeline) -> result`.
template <class Build>
auto terminal(Build build) {
    return terminal_closure<Build>{std::move(build)};
}

/// Base of a stage over the source S: holds it as `up` and forwards what the stage does not change.
///
/// A stage that keeps no position of its own says `using stateless = void;`; any other derives from positioned.
template <source S>
struct stage_over {
    S up;

    explicit stage_over(S input) : up(std::move(input)) {}

    void reset(epoch e)
        requires resettable<S>
    {
        up.reset(e);
    }
    size_hint hint() const {
        return hint_of(up);
    }
    chain_facts facts() const { return facts_of(up); }
    void save(state_writer& w) const
        requires resumable<S>
    {
        up.save(w);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        up.load(r);
    }
    cover trailing()
        requires dropping<S>
    {
        return up.trailing();
    }
    void attach(std::stop_token t)
        requires stoppable<S>
    {
        up.attach(std::move(t));
    }
    void stats(stats_report& r) const
        requires watched<S>
    {
        up.stats(r);
    }
    void controls(control_walk& w) const
        requires steered<S>
    {
        up.controls(w);
    }
};

namespace detail {

template <class T>
inline constexpr bool is_stage_closure = false;
template <class B, bool OverPlans>
inline constexpr bool is_stage_closure<stage_closure<B, OverPlans>> = true;
template <class T>
inline constexpr bool is_terminal = false;
template <class B, bool OverPlans>
inline constexpr bool is_terminal<terminal_closure<B, OverPlans>> = true;

/// Whether T inherits stage_over's save without saying that it is stateless.
template <class T, class S>
consteval bool forgets_its_state() {
    if constexpr (requires { typename T::stateless; }) return false;
    else if constexpr (requires { &T::save; }) return std::is_same_v<decltype(&T::save), void (stage_over<S>::*)(state_writer&) const>;
    else return false;
}

/// A result as the user holds it: sources in a pipeline, plans and refusals as they are.
template <class R>
auto wrap(R result) {
    if constexpr (source<R> && !is_pipeline<R>) return pipeline<R>(std::move(result));
    else return result;
}

/// Whether L is what a stage is built over; a stage over items says in one sentence if L yields none.
template <class L, bool OverPlans>
consteval bool fits() {
    if constexpr (OverPlans) return !std::is_same_v<L, broken_chain>;
    else {
        constexpr bool items = source<L> || std::is_same_v<L, broken_chain>;
        static_assert(items, "this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()");
        return source<L>;
    }
}

/// What a stage makes of its input: with a probe around it, if the input is watched or the result asks for it.
template <class B, bool OverPlans, class L>
auto built(stage_closure<B, OverPlans>& right, L input) {
    if constexpr (!fits<L, OverPlans>()) return broken_chain{};
    else {
        using result = decltype(right.build(std::move(input)));
        if constexpr (source<result> && (watched_from<L> || watched_from<result>)) return with_probe(right.name, right.build(std::move(input)));
        else return right.build(std::move(input));
    }
}

/// What a terminal returns for its input.
template <class B, bool OverPlans, class L>
auto ended(terminal_closure<B, OverPlans>& right, L&& left) {
    if constexpr (fits<std::remove_cvref_t<L>, OverPlans>()) return right.build(std::forward<L>(left));
    else return broken_chain{};
}

/// stage | stage.
template <class A, class B>
struct both {
    A first;
    B second;

    template <class L>
    auto operator()(L input) {
        auto middle = built(first, std::move(input));
        if constexpr (std::is_same_v<decltype(middle), broken_chain>) return broken_chain{};
        else return built(second, std::move(middle));
    }
};
template <class A, class B>
both(A, B) -> both<A, B>;

template <class L>
concept startable = is_pipeline<L> || plan_value<L> || std::is_same_v<L, broken_chain>;

template <class L>
decltype(auto) unwrap(L&& left) {
    if constexpr (is_pipeline<std::remove_cvref_t<L>>) return std::move(left).release();
    else return std::forward<L>(left);
}

}  // namespace detail

/// The stage `Stage<S>` built as Stage<S>(input, args...): how a user's class template becomes a stage.
/// `name` is for messages. The arguments are copied for each use of the closure, moved if it is used as an rvalue.
template <template <class> class Stage, class... A>
auto stage_of(char const* name, A... args) {
    return stage(name, [args = std::make_tuple(std::move(args)...)]<class S>(S input) mutable {
        static_assert(!detail::forgets_its_state<Stage<S>, S>(),
                      "this stage inherits save() but does not say that it keeps no position. HINT: derive it from positioned<Self, S> and say its position, or write `using stateless = void;`");
        return std::apply([&](auto&... a) { return Stage<S>(std::move(input), std::move(a)...); }, args);
    });
}

/// source | stage, plan | stage, source | terminal.
template <class L, class R>
    requires(detail::is_stage_closure<std::remove_cvref_t<R>> || detail::is_terminal<std::remove_cvref_t<R>>) &&
            (!detail::is_stage_closure<std::remove_cvref_t<L>>) && (!detail::is_terminal<std::remove_cvref_t<L>>)
auto operator|(L&& left, R&& right) {
    using left_type = std::remove_cvref_t<L>;
    constexpr bool known = detail::startable<left_type>;
    constexpr bool movable = !std::is_lvalue_reference_v<L> || !is_pipeline<left_type>;
    static_assert(known, "the left side of | is no pipeline. HINT: wrap a container with from_vector(v); a terminal, which ends a chain, can only stand at its end");
    static_assert(movable, "the left side of | is a named pipeline. HINT: write std::move(p) | ..., or by_ref(p) | ... to go on using it");
    if constexpr (!known || !movable || std::is_same_v<left_type, broken_chain>) return broken_chain{};
    else {
        auto closure = std::forward<R>(right);
        if constexpr (detail::is_terminal<std::remove_cvref_t<R>>) return detail::ended(closure, std::forward<L>(left));
        else return detail::wrap(detail::built(closure, detail::unwrap(std::forward<L>(left))));
    }
}

/// stage | stage is a stage; stage | terminal is a terminal; nothing follows a terminal.
template <class L, class R>
    requires(detail::is_stage_closure<std::remove_cvref_t<L>> || detail::is_terminal<std::remove_cvref_t<L>>) &&
            (detail::is_stage_closure<std::remove_cvref_t<R>> || detail::is_terminal<std::remove_cvref_t<R>>)
auto operator|(L&& left, R&& right) {
    constexpr bool open = detail::is_stage_closure<std::remove_cvref_t<L>>;
    static_assert(open, "a terminal ends the chain: no stage can follow it. HINT: move the terminal to the end");
    if constexpr (!open) return broken_chain{};
    else if constexpr (detail::is_terminal<std::remove_cvref_t<R>>) {
        auto build = [a = std::forward<L>(left), b = std::forward<R>(right)](auto input) mutable { return std::move(input) | std::move(a) | std::move(b); };
        return terminal_closure<decltype(build), true>{std::move(build)};
    }
    else
        return plan_stage("", detail::both{std::forward<L>(left), std::forward<R>(right)});
}

template <source S>
struct ref_source {
    using item_type = typename S::item_type;
    pipeline<S>* p;

    std::optional<item_type> next() { return p->next(); }
    size_hint hint() const {
        return p->hint();
    }
};

/// A pipeline that pulls from `p`, which stays the caller's and must outlive it.
template <source S>
auto by_ref(pipeline<S>& p) {
    return pipeline<ref_source<S>>(ref_source<S>{&p});
}

}  // namespace penstock
