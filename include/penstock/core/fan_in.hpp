// Implements: named(name, weight, p), and the branches of a stage with several inputs: names, dispatch by index, what each is handed.
#pragma once

#include <penstock/core/batch_type.hpp>    // defines: is_batch
#include <penstock/core/ledger.hpp>        // defines: epoch::branch
#include <penstock/core/stage.hpp>         // defines: pipeline, broken_chain, config_error, stats_report, the protocol

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// A pipeline on its way into a fan-in, with its name there. The name is in the state, in stats, in batch_of::source and in every
/// random number of the branch: a source keeps its order when others are added beside it. (zip and join_by_key give all their sources one order of
/// the data; stages that draw, as shuffle, still draw by the name.)
template <source S>
struct named_source {
    std::string name;
    std::optional<double> weight;  ///< its share, for interleave alone
    S input;
};

template <class T>
inline constexpr bool is_named_source = false;
template <class S>
inline constexpr bool is_named_source<named_source<S>> = true;

namespace detail {

template <class P>
inline constexpr bool is_own_pipeline = is_pipeline<std::remove_cvref_t<P>> && !std::is_lvalue_reference_v<P>;
template <class P>
inline constexpr bool is_branch = is_own_pipeline<P> || (is_named_source<std::remove_cvref_t<P>> && !std::is_lvalue_reference_v<P>);
template <class P>
inline constexpr bool is_broken = std::is_same_v<std::remove_cvref_t<P>, broken_chain>;

template <class P>
auto named_or_refused(std::string name, std::optional<double> weight, P&& p) {
    constexpr bool ok = is_own_pipeline<P> || is_broken<P>;
    static_assert(ok, "named(name, p): p is no pipeline, or one that somebody else still holds. HINT: write std::move(p), or by_ref(p) to go on using it; wrap a container with from_vector(v)");
    if constexpr (is_own_pipeline<P>) {
        using input = std::remove_cvref_t<decltype(std::forward<P>(p).release())>;
        return named_source<input>{std::move(name), weight, std::forward<P>(p).release()};
    } else return broken_chain{};
}

/// What a fan-in holds of an argument, which may be a bare pipeline: that one is named by its place, "0", "1", ...
template <class P>
auto as_named(P&& p, std::size_t place) {
    if constexpr (is_named_source<std::remove_cvref_t<P>>) return std::remove_cvref_t<P>(std::forward<P>(p));
    else return named_or_refused(std::to_string(place), std::nullopt, std::forward<P>(p));
}

inline void check_name(std::string_view stage, std::string const& name, std::string const* before, std::size_t count) {
    if (name.empty()) throw config_error(message(stage, ": the name of a source must not be empty, got ''\n  HINT: it names the source in states, statistics and batches"));
    for (char const c : name)
        if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '/')
            throw config_error(message(stage, ": the name of a source must hold neither spaces nor '/', got '", name, "'\n  HINT: write my_photos instead of 'my photos'"));
    for (std::size_t i = 0; i != count; ++i)
        if (before[i] == name) throw config_error(message(stage, ": the names of the sources must differ, got '", name, "' twice\n  HINT: states and statistics tell the sources apart by their names"));
}

/// Items of two sources that are divided among other ranks are no part of one whole.
inline void check_split(std::string_view stage, std::string const& name, std::optional<world> const& split, std::string const& before, std::optional<world> const& was) {
    if (split && was && *split != *was)
        throw config_error(message(stage, ": all sources must be divided alike, got '", before, "' for rank ", was->rank, " of ", was->size, ", '", name, "' for rank ", split->rank, " of ", split->size,
                                   "\n  HINT: give split_by_rank() of each the same world"));
}

/// What the branches of a list and of a tuple have in common. Derived has size(), name(i) and visit(i, f).
template <class Derived>
class branches_base {
public:
    template <class F>
    void each(F f) {
        for (std::size_t i = 0; i != self().size(); ++i) self().visit(i, [&](auto& s) { f(s, i); });
    }
    template <class F>
    void each(F f) const {
        for (std::size_t i = 0; i != self().size(); ++i) self().visit(i, [&](auto const& s) { f(s, i); });
    }

    void reset(std::size_t i, epoch e, std::uint64_t pass) {
        auto own = e.branch(self().name(i));
        own.index = pass;
        if (!e.used) return self().visit(i, [&](auto& s) { s.reset(own); });
        if (!e.used->used().empty())
            throw state_error("resume in another world: the ledger holds positions without a source, the chain has several sources\n  HINT: batch each source before it is mixed, or resume with the number of ranks that saved the state");
        reset_with_ledger(own, "source '" + self().name(i) + "'", [&](epoch const& with) { self().visit(i, [&](auto& s) { s.reset(with); }); });
    }
    /// As reset(i, e, e.index), but every branch orders its data by the same key: those of equal shape yield equal places.
    void reset_alike(std::size_t i, epoch e) {
        auto own = e.branch(self().name(i));
        own.line = e.line;
        self().visit(i, [&](auto& s) { s.reset(own); });
    }
    void save(std::size_t i, state_writer& w) const {
        auto own = w.branch(self().name(i));
        self().visit(i, [&](auto const& s) { s.save(own); });
    }
    void load(std::size_t i, state_reader& r) {
        auto own = r.branch(self().name(i));
        self().visit(i, [&](auto& s) { s.load(own); });
    }
    void attach(std::stop_token const& t) {
        each([&](auto& s, std::size_t) { penstock::attach(s, t); });
    }
    /// The counters of every branch, as `name/stage`, and the entry of the fan-in itself.
    void stats(char const* stage, stats_report& r) const {
        std::uint32_t inputs = 0;
        each([&](auto const& s, std::size_t i) {
            stats_report own;
            collect_stats(s, own);
            inputs += !own.empty();
            for (auto& one : own) {
                one.name = self().name(i) + '/' + one.name;
                r.push_back(std::move(one));
            }
        });
        r.push_back({.name = stage, .inputs = inputs});
    }
    void controls(control_walk& w) const {
        each([&](auto const& s, std::size_t) {
            if constexpr (steered<std::remove_cvref_t<decltype(s)>>) s.controls(w);
        });
    }
    size_hint hint(std::size_t i) const {
        return self().visit(i, [](auto const& s) { return hint_of(s); });
    }
    chain_facts facts(std::size_t i) const {
        return self().visit(i, [](auto const& s) { return facts_of(s); });
    }
    /// What all of them state together, where the stage makes both(n, m) items of n and m.
    template <class F>
    chain_facts joint(F both) const {
        auto all = facts(0);
        for (std::size_t i = 1; i != self().size(); ++i) all = std::move(all).joined(facts(i), both);
        return all;
    }
    /// Writes the branch into a batch; one that came through an inner fan-in already is `outer/inner`.
    template <class Item>
    void stamp([[maybe_unused]] Item& item, [[maybe_unused]] std::size_t i) const {
        if constexpr (is_batch<Item>) item.source = item.source.empty() ? self().name(i) : self().name(i) + '/' + item.source;
    }

protected:
    void check_splits(char const* stage) const {
        std::optional<std::size_t> divided;
        for (std::size_t i = 0; i != self().size(); ++i) {
            auto const split = facts(i).split;
            if (divided) check_split(stage, self().name(i), split, self().name(*divided), facts(*divided).split);
            else if (split) divided = i;
        }
    }

private:
    Derived& self() { return static_cast<Derived&>(*this); }
    Derived const& self() const { return static_cast<Derived const&>(*this); }
};

}  // namespace detail

/// A fixed number of branches, each of its own type. visit(i, f) is a chain of comparisons that the compiler sees through.
template <source... S>
class branches : public detail::branches_base<branches<S...>> {
    using first = std::tuple_element_t<0, std::tuple<S...>>;

public:
    static constexpr bool one_item_type = (std::is_same_v<typename S::item_type, typename first::item_type> && ...);
    static constexpr bool resets = (resettable<S> && ...), resumes = (resumable<S> && ...);
    static constexpr bool drops = (dropping<S> || ...), stops = (stoppable<S> || ...), counts = (watched<S> || ...), steers = (steered<S> || ...), watched_items = (watched_from<S> || ...);
    using item_type = typename first::item_type;  // of all of them, where there is one item type

    explicit branches(char const* stage, named_source<S>... all) : sources_(std::move(all.input)...), names_{std::move(all.name)...} {
        for (std::size_t i = 0; i != size(); ++i) detail::check_name(stage, names_[i], names_.data(), i);
        this->check_splits(stage);
    }

    static constexpr std::size_t size() { return sizeof...(S); }
    std::string const& name(std::size_t i) const { return names_[i]; }
    template <class F>
    decltype(auto) visit(std::size_t i, F&& f) {
        return visit_from<0>(sources_, i, f);
    }
    template <class F>
    decltype(auto) visit(std::size_t i, F&& f) const {
        return visit_from<0>(sources_, i, f);
    }
    std::tuple<S...>& tuple() { return sources_; }
    std::tuple<S...> const& tuple() const { return sources_; }

private:
    template <std::size_t At, class Sources, class F>
    static decltype(auto) visit_from(Sources& sources, std::size_t i, F& f) {
        if constexpr (At + 1 == sizeof...(S)) return f(std::get<At>(sources));
        else {
            if (i == At) return f(std::get<At>(sources));
            return visit_from<At + 1>(sources, i, f);
        }
    }

    std::tuple<S...> sources_;
    std::array<std::string, sizeof...(S)> names_;
};

/// Branches of one type, as many as there are at run time.
template <source S>
class branch_list : public detail::branches_base<branch_list<S>> {
public:
    static constexpr bool one_item_type = true;
    static constexpr bool resets = resettable<S>, resumes = resumable<S>;
    static constexpr bool drops = dropping<S>, stops = stoppable<S>, counts = watched<S>, steers = steered<S>, watched_items = watched_from<S>;
    using item_type = typename S::item_type;

    explicit branch_list(char const* stage, std::vector<named_source<S>> all) {
        if (all.empty()) throw config_error(message(stage, ": there must be at least one source, got 0\n  HINT: look at how the list was made"));
        sources_.reserve(all.size());
        for (auto& one : all) {
            detail::check_name(stage, one.name, names_.data(), names_.size());
            sources_.push_back(std::move(one.input));
            names_.push_back(std::move(one.name));
        }
        this->check_splits(stage);
    }

    std::size_t size() const { return sources_.size(); }
    std::string const& name(std::size_t i) const { return names_[i]; }
    template <class F>
    decltype(auto) visit(std::size_t i, F&& f) {
        return f(sources_[i]);
    }
    template <class F>
    decltype(auto) visit(std::size_t i, F&& f) const {
        return f(sources_[i]);
    }

private:
    std::vector<S> sources_;
    std::vector<std::string> names_;
};

/// Base of a stage over several sources: holds them as `in` and forwards what no fan-in changes.
template <class Branches>
struct fan_in {
    Branches in;
    char const* label;  ///< of the stage, for figures and messages

    void attach(std::stop_token t)
        requires Branches::stops
    {
        in.attach(t);
    }
    void stats(stats_report& r) const
        requires Branches::counts
    {
        in.stats(label, r);
    }
    void controls(control_walk& w) const
        requires Branches::steers
    {
        in.controls(w);
    }
};

/// Gives a pipeline its name in a fan-in, and its weight there: interleave(named("photos", 0.9, std::move(p)), ...).
template <class P>
auto named(std::string name, P&& p) {
    return detail::named_or_refused(std::move(name), std::nullopt, std::forward<P>(p));
}
template <class P>
auto named(std::string name, double weight, P&& p) {
    return detail::named_or_refused(std::move(name), weight, std::forward<P>(p));
}

namespace detail {

/// Whether a fan-in can be made of these arguments; says so in one sentence if not.
template <class... P>
consteval bool joinable() {
    constexpr bool ok = ((is_branch<P> || is_broken<P>) && ...);
    static_assert(ok, "what is joined here must be pipelines of your own. HINT: write std::move(p), or by_ref(p) to go on using it; wrap a container with from_vector(v)");
    return (is_branch<P> && ...);
}

/// Calls make(named_source...) with the arguments of a fan-in, those without a name being named by their place.
template <class Make, class... P>
auto with_names(Make make, P&&... p) {
    return [&]<std::size_t... At>(std::index_sequence<At...>) { return make(as_named(std::forward<P>(p), At)...); }(std::index_sequence_for<P...>{});
}

/// The fan-in as the user holds it: with a probe around it, if a branch is watched.
template <class Branches, class Stage>
auto joined(char const* name, Stage stage) {
    if constexpr (Branches::watched_items) return wrap(with_probe(name, std::move(stage)));
    else return wrap(std::move(stage));
}

/// For fan-ins that have no use for a weight.
template <class... S>
void no_weights(char const* stage, named_source<S> const&... all) {
    auto check = [&](auto const& one) {
        if (one.weight) throw config_error(message(stage, ": a weight has no effect here, got ", *one.weight, " for '", one.name, "'\n  HINT: write named(\"", one.name, "\", p), or use interleave"));
    };
    (check(all), ...);
}

}  // namespace detail

}  // namespace penstock
