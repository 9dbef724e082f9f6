// Implements: combine(mode, sources...), one item of each source per step, whatever their lengths.
#pragma once

#include <penstock/core/passes.hpp>  // defines: passes, stop_rule, branches, fan_in
#include <penstock/core/replay.hpp>  // defines: replay, tally

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace penstock {

/// What combine does with sources of different lengths.
enum class combine_mode {
    min_size,        ///< ends with the shortest source
    max_size,        ///< ends with the longest; the others' places are empty once they have ended
    max_size_cycle,  ///< ends with the longest; the others start their next pass, and the next epoch goes on where they stand
    sequential,      ///< one source after the other, the places of the others empty
};

namespace detail {
constexpr stop_rule rule_of(combine_mode mode) {
    return mode == combine_mode::min_size ? stop_rule::first : mode == combine_mode::max_size_cycle ? stop_rule::all_restart : stop_rule::all;
}
}  // namespace detail

/// A step is filled place by place; `at_` is the next one. An exception leaves its place empty and the items before it held, until the next call.
template <source... S>
class [[nodiscard]] combine_stage : public fan_in<branches<S...>> {
    using all_of = branches<S...>;
    using held = std::tuple<std::optional<typename S::item_type>...>;
    using values = std::tuple<std::optional<value_of<typename S::item_type>>...>;
    static constexpr bool keyed_at_all = (is_keyed<typename S::item_type> || ...);
    static constexpr std::size_t count = sizeof...(S);

public:
    using item_type = std::conditional_t<keyed_at_all, keyed<values>, values>;
    combine_stage(combine_mode mode, all_of all)
        : fan_in<all_of>{std::move(all), "combine"}, mode_(mode), passes_("combine", this->in, detail::rule_of(mode)), replays_(replay<S>("combine", 4096)...) {}

    std::optional<item_type> next() {
        passes_.prepare(this->in);
        while (at_ != 0 || !passes_.done()) {
            if (!fill<0>()) {
                drop_held();
                break;
            }
            ++steps_;
            if (auto item = step()) return item;
        }
        passes_.close_all(this->in);
        return std::nullopt;
    }
    void reset(epoch e)
        requires all_of::resets
    {
        refuse_recut(e, "combine", "use interleave", "pairs items by their place, which is another one on other ranks");
        drop_held();
        steps_ = 0;
        std::array<bool, count> over{};
        each([&]<std::size_t At>() { over[At] = passes_[At].over; });
        bool const goes_on = passes_.reset(this->in, e);
        if (!goes_on) dropped_ = {};
        each([&]<std::size_t At>() {
            if (!goes_on || over[At]) std::get<At>(replays_).reset();
        });
        passes_.prepare(this->in);
    }
    size_hint hint() const {
        if (at_ == 0 && passes_.ready() && passes_.done()) return {0, 0};
        auto const all = steps();
        return {0, all ? std::optional(*all - (std::min)(steps_, *all)) : std::nullopt};
    }
    chain_facts facts() const {
        auto said = this->in.joint([](std::uint64_t a, std::uint64_t) { return a; }).at_most();
        said.world_max = steps();
        if (passes_.rule() == stop_rule::first) said = std::move(said).cut_short();
        said.goes_on = said.goes_on || passes_.restarts();
        said.same_every_epoch = said.same_every_epoch && !passes_.restarts();
        return said;
    }
    void save(state_writer& w) const
        requires all_of::resumes
    {
        auto head = w.stage("combine", 1);
        passes_.save(head);
        head.put("mode", static_cast<std::uint64_t>(mode_)).put("at", at_).put("steps", steps_);
        each([&]<std::size_t At>() { head.put("first" + std::to_string(At), std::get<At>(replays_).pulls() - std::get<At>(held_).has_value()); });
        dropped_.save(head);
        each([&]<std::size_t At>() {
            passes_.save(this->in, At, w);
            auto own = w.branch(this->in.name(At));
            tally mine;
            if (auto const& item = std::get<At>(held_)) mine.add(*item);
            auto const& r = std::get<At>(replays_);
            r.save(own, std::get<At>(this->in.tuple()), mine);
        });
    }
    void load(state_reader& r)
        requires all_of::resumes
    {
        auto const head = r.stage("combine", 1);
        if (head.get("mode") != static_cast<std::uint64_t>(mode_))
            throw state_error(message("load: combine: saved in mode number ", head.get("mode"), ", this is mode number ", static_cast<int>(mode_), "\n  HINT: build it with the mode that was saved"));
        passes_.load(head);
        if (head.get("at") > count) throw state_error(message("load: combine: there is no place number ", head.get("at"), "\n  HINT: the state is damaged; use an older checkpoint"));
        at_ = static_cast<std::size_t>(head.get("at"));
        steps_ = head.get("steps");
        dropped_.load(head);
        each([&]<std::size_t At>() {
            auto& place = std::get<At>(held_);
            place.reset();
            passes_.load(this->in, At, r);
            auto own = r.branch(this->in.name(At));
            auto& up = std::get<At>(this->in.tuple());
            auto& mine = std::get<At>(replays_);
            auto const first = head.get("first" + std::to_string(At));  // nothing pulled before it is held
            mine.load(own, up);
            mine.repeat(up, [&](std::uint64_t number) { return number >= first; }, [&](std::uint64_t, auto&& item) { place.emplace(std::move(item)); });
            mine.release(first);
            passes_.check_loaded(this->in, At);
        });
    }
    cover trailing() {
        auto all = dropped_.take();
        all.add(passes_.trailing(this->in));
        return all;
    }

private:
    template <class F>
    static void each(F f) {
        [&]<std::size_t... At>(std::index_sequence<At...>) { (f.template operator()<At>(), ...); }(std::index_sequence_for<S...>{});
    }
    bool holds() const {
        return std::apply([](auto const&... one) { return (one.has_value() || ...); }, held_);
    }
    /// Whether place i is to be filled in this step.
    bool wanted(std::size_t i) const {
        if (mode_ == combine_mode::max_size_cycle) return true;
        if (mode_ == combine_mode::sequential) {
            for (std::size_t j = 0; j != i; ++j)
                if (!passes_[j].over) return false;
            if (holds()) return false;
        }
        return !passes_[i].over;
    }

    /// False if the step cannot be completed: the end.
    template <std::size_t At>
    bool fill() {
        if constexpr (At == count) return true;
        else {
            if (At >= at_ && wanted(At)) {
                at_ = At;
                if (!pull<At>()) return false;
            }
            return fill<At + 1>();
        }
    }
    template <std::size_t At>
    bool pull() {
        auto& up = std::get<At>(this->in.tuple());
        auto& source = std::get<At>(replays_);
        while (true) {
            if (passes_[At].over) {
                passes_.restart(this->in, At);
                source.reset();
            }
            source.release(source.pulls());
            auto item = [&] {
                try {
                    return source.pull(up);
                } catch (...) {
                    source.release(source.pulls());
                    if constexpr (is_batch<typename std::tuple_element_t<At, std::tuple<S...>>::item_type>) passes_[At].used = true;  // what failed is an item of the batch, which is still to come
                    else {
                        at_ = At + 1;
                        passes_.turn(this->in, At);
                    }
                    throw;
                }
            }();
            if (!item && !passes_[At].slots) {
                passes_.found_end(this->in, At);
                if (mode_ == combine_mode::min_size) return false;
                if (!passes_.restarts()) return true;
                if (passes_.done() && !holds()) return false;
                continue;  // also at the end: a step that holds an item already is completed
            }
            if (item) std::get<At>(held_).emplace(std::move(*item));
            passes_.turn(this->in, At);
            return true;
        }
    }
    /// What this step has, unless that is nothing; the next step begins.
    std::optional<item_type> step() {
        at_ = 0;
        if (!holds()) return std::nullopt;
        return [&]<std::size_t... At>(std::index_sequence<At...>) {
            values all;
            [[maybe_unused]] item_type out{};
            [[maybe_unused]] bool named = false;
            auto take = [&](auto& whole, auto& from, auto& to, std::size_t i) {
                if (!from) return;
                passes_.join(*from, i);
                this->in.stamp(*from, i);
                if constexpr (is_keyed<std::remove_cvref_t<decltype(*from)>>) {
                    whole.cover.add(from->cover);
                    if (!std::exchange(named, true)) {
                        whole.id = from->id;
                        whole.pass = from->pass;
                        whole.key = std::move(from->key);
                        whole.weight = from->weight;
                    }
                }
                to.emplace(std::move(value(*from)));
                from.reset();
            };
            (take(out, std::get<At>(held_), std::get<At>(all), At), ...);
            (std::get<At>(replays_).release(std::get<At>(replays_).pulls()), ...);
            if constexpr (keyed_at_all) {
                out.value = std::move(all);
                dropped_.join(out);
                return std::optional<item_type>(std::move(out));
            } else return std::optional<item_type>(std::move(all));
        }(std::index_sequence_for<S...>{});
    }
    void drop_held() {
        at_ = 0;
        each([&]<std::size_t At>() {
            auto& place = std::get<At>(held_);
            if (place) dropped_.add(*place);
            place.reset();
            std::get<At>(replays_).release(std::get<At>(replays_).pulls());
        });
    }
    /// Steps of this epoch on the rank that has most.
    std::optional<std::uint64_t> steps() const {
        std::optional<std::uint64_t> all;
        for (std::size_t i = 0; i != count; ++i) {
            auto const& one = passes_[i];
            if (!one.slots) return std::nullopt;
            if (!all) all = one.start;
            else if (mode_ != combine_mode::sequential) all = mode_ == combine_mode::min_size ? (std::min)(*all, one.start) : (std::max)(*all, one.start);
            else if (all = detail::sum_of(*all, one.start); !all) return std::nullopt;
        }
        return all;
    }

    combine_mode mode_;
    detail::passes<all_of> passes_;
    std::tuple<replay<S>...> replays_;
    held held_;            // of this step
    std::size_t at_ = 0;   // the place that is filled next
    std::uint64_t steps_ = 0;
    dropped dropped_;
};

namespace detail {

template <class... S>
auto combine_of(combine_mode mode, named_source<S>... all) {
    no_weights("combine", all...);
    return joined<branches<S...>>("combine", combine_stage<S...>(mode, branches<S...>("combine", std::move(all)...)));
}

}  // namespace detail

/// One item of each source per step, as a tuple of optionals. A place is empty if its source has ended, has none for this rank at this step, or failed to make it.
/// If a source is keyed the step is: it has id, pass, key and weight of the first keyed item in it, and stands for the covers of all.
///
/// Order    that of the sources; over sources cut by rank, ends and restarts fall on the same step on every rank
/// Buffers  the items of a step that an exception interrupted; the next call goes on filling it
/// Resume   exact, a few integers per source; after an exception inside a step, replay of at most 4096 items per source, one of which is made
/// Threads  none
/// Errors   forwards those of the sources, each before the step in which its place is empty; config_error for bad names, for an empty source with
///          min_size and max_size_cycle, and for sources cut by rank that do not know their largest part
///
///     combine(combine_mode::max_size_cycle, range(3), from_vector<char>({'a', 'b'}))    // (0, a) (1, b) (2, a)
template <class... P>
auto combine(combine_mode mode, P&&... sources) {
    static_assert(sizeof...(P) != 0, "combine(mode, sources...): there must be at least one source. HINT: combine(combine_mode::min_size, named(\"a\", std::move(p)), ...)");
    if constexpr (sizeof...(P) == 0 || !detail::joinable<P...>()) return broken_chain{};
    else
        return detail::with_names([mode](auto... all) { return detail::combine_of(mode, std::move(all)...); }, std::forward<P>(sources)...);
}

}  // namespace penstock
