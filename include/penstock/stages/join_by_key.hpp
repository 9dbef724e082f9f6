// Implements: join_by_key(a, b, options), the items of two sources that bear the same key, side by side.
#pragma once

#include <penstock/core/dropped.hpp>      // defines: dropped
#include <penstock/core/fan_in.hpp>       // defines: branches, fan_in, named_source, epoch, size_hint, state_*
#include <penstock/core/offset_bits.hpp>  // defines: offset_bits
#include <penstock/core/replay.hpp>       // defines: replay, tally

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace penstock {

/// What becomes of an item whose key the other source does not have.
enum class no_partner {
    refuse,  ///< stage_error that names the sample and its source, and consumes it
    skip,    ///< left out, counted and named in stats()
};

struct join_options {
    std::int64_t window = 1000;  ///< partners stand at most so many places apart in their sources
    penstock::no_partner no_partner = penstock::no_partner::refuse;
};

namespace detail {

/// One of the two sources: its pulls, and the items that wait for their partners, by the numbers of their pulls.
template <source S>
struct join_side {
    using item = typename S::item_type;

    explicit join_side(std::uint64_t every) : pulls("join_by_key", every) {}

    /// False, and the item as it was, if its key waits already.
    bool put(std::uint64_t number, item& one) {
        if (places.contains(one.key)) return false;
        held.add(one);
        auto const& kept = waiting.emplace(number, std::move(one)).first->second;
        places.emplace(kept.key, number);
        return true;
    }
    std::optional<item> take(std::uint64_t number) {
        auto const at = waiting.find(number);
        places.erase(at->second.key);
        held.remove(at->second);
        auto out = std::optional<item>(std::move(at->second));
        waiting.erase(at);
        release();
        return out;
    }
    std::optional<item> take(std::string const& key) {
        auto const found = places.find(key);
        return found == places.end() ? std::nullopt : take(found->second);
    }
    std::uint64_t oldest() const { return waiting.empty() ? pulls.pulls() : waiting.begin()->first; }
    void release() { pulls.release(oldest()); }
    void clear() {
        waiting.clear();
        places.clear();
        held = {};
    }

    replay<S> pulls;
    std::map<std::uint64_t, item> waiting;
    std::unordered_map<std::string_view, std::uint64_t> places;  // of the keys in `waiting`, which own the text
    tally held;
    std::uint64_t left_out = 0;  // since it was built
    std::string first_left_out;
};

}  // namespace detail

/// Pulls from the two sources in turns. An item waits until its partner comes, or until the other source has gone on by the window, or has ended.
template <source A, source B>
class [[nodiscard]] join_stage : public fan_in<branches<A, B>> {
    using both = branches<A, B>;
    using values = std::tuple<value_of<typename A::item_type>, value_of<typename B::item_type>>;

public:
    using item_type = keyed<values>;
    join_stage(both all, join_options o)
        : fan_in<both>{std::move(all), "join_by_key"}, window_(static_cast<std::uint64_t>(o.window)), rule_(o.no_partner),
          sides_(detail::join_side<A>((std::max)(std::uint64_t{16}, window_ / 4)), detail::join_side<B>((std::max)(std::uint64_t{16}, window_ / 4))) {
        refuse_unordered(this->in.facts(0), "join_by_key");
        refuse_unordered(this->in.facts(1), "join_by_key");
    }

    std::optional<item_type> next() {
        while (true) {
            if (give_up<0>() || give_up<1>()) continue;
            bool const a_ended = std::get<0>(sides_).pulls.ended(), b_ended = std::get<1>(sides_).pulls.ended();
            if (a_ended && b_ended) return std::nullopt;
            auto const turn = std::exchange(turn_, 1 - turn_);  // an exception is a turn
            bool const first = turn == 0 ? !a_ended : b_ended;
            if (auto out = first ? pull<0>() : pull<1>()) return out;
        }
    }
    void reset(epoch e)
        requires both::resets
    {
        refuse_recut(e, "join_by_key", "join when the data is written, with write_tar", "finds partners within the parts of one rank, which are others now");
        each([&](auto& side, auto&, std::size_t i) {
            this->in.reset_alike(i, e);
            side.pulls.reset();
            side.clear();
        });
        turn_ = 0;
        dropped_ = {};
    }
    size_hint hint() const {
        auto most = std::optional<std::uint64_t>{};
        each([&](auto const& side, auto const&, std::size_t i) {
            auto const left = this->in.hint(i).plus(side.held.count).upper;
            if (left) most = (std::min)(most.value_or(*left), *left);
        });
        return {0, most};
    }
    chain_facts facts() const {
        return this->in.joint([](std::uint64_t a, std::uint64_t b) { return (std::min)(a, b); }).at_most().cut_short();
    }
    void save(state_writer& w) const
        requires both::resumes
    {
        auto head = w.stage("join_by_key", 1);
        head.put("window", window_).put("no_partner", static_cast<std::uint64_t>(rule_)).put("turn", turn_);
        dropped_.save(head);
        each([&](auto const& side, auto const& s, std::size_t i) {
            auto own = w.branch(this->in.name(i));
            side.pulls.save(own, s, side.held);
            auto record = own.stage("join_by_key", 1);
            record.put("oldest", side.oldest());
            detail::offset_bits numbers;
            for (auto const& [number, item] : side.waiting) numbers.put(number - side.oldest());
            numbers.save(record);
        });
    }
    void load(state_reader& r)
        requires both::resumes
    {
        auto const head = r.stage("join_by_key", 1);
        if (head.get("window") != window_ || head.get("no_partner") != static_cast<std::uint64_t>(rule_))
            throw state_error(message("load: join_by_key: saved with a window of ", head.get("window"), " and no_partner number ", head.get("no_partner"), ", this one has ", window_, " and ",
                                      static_cast<int>(rule_), "\n  HINT: build it with the options that were saved"));
        turn_ = head.get("turn") & 1;
        dropped_.load(head);
        each([&](auto& side, auto& s, std::size_t i) {
            side.clear();
            auto own = r.branch(this->in.name(i));
            side.pulls.load(own, s);
            auto const record = own.stage("join_by_key", 1);
            auto const oldest = record.get("oldest");
            detail::offset_bits numbers;
            numbers.load(record, window_ + 2);
            side.pulls.repeat(s, [&](std::uint64_t n) { return n >= oldest && numbers.has(n - oldest); }, [&](std::uint64_t n, auto&& item) { (void)side.put(n, item); });
            side.release();
        });
    }
    cover trailing() {
        auto all = dropped_.take();
        this->in.each([&](auto& s, std::size_t) { all.add(penstock::trailing(s)); });
        return all;
    }
    void stats(stats_report& r) const {
        this->in.stats(this->label, r);
        auto& s = r.back();
        s.items = joined_;
        each([&](auto const& side, auto const&, std::size_t i) {
            s.held += side.held.count;
            s.errors += side.left_out;
            s.left_out += side.left_out;
            if (side.left_out != 0) s.note += message("\n    ", side.left_out, " of '", this->in.name(i), "' without a partner, the first is '", side.first_left_out, '\'');
        });
    }

private:
    /// Calls f(side, its source, its number).
    template <class F>
    void each(F f) {
        f(std::get<0>(sides_), std::get<0>(this->in.tuple()), std::size_t{0});
        f(std::get<1>(sides_), std::get<1>(this->in.tuple()), std::size_t{1});
    }
    template <class F>
    void each(F f) const {
        f(std::get<0>(sides_), std::get<0>(this->in.tuple()), std::size_t{0});
        f(std::get<1>(sides_), std::get<1>(this->in.tuple()), std::size_t{1});
    }

    /// One item of a source: with its partner, or into the waiting ones.
    template <std::size_t At>
    std::optional<item_type> pull() {
        auto& mine = std::get<At>(sides_);
        auto& others = std::get<1 - At>(sides_);
        auto item = mine.pulls.pull(std::get<At>(this->in.tuple()));
        if (!item) return std::nullopt;
        if (auto partner = others.take(item->key)) {
            mine.release();
            if constexpr (At == 0) return joined(*item, *partner);
            else return joined(*partner, *item);
        }
        if (!mine.put(mine.pulls.pulls() - 1, *item)) fail(*item, message('\'', this->in.name(At), "' has it twice, and the first one still waits for its partner"), "a key names one sample of a source");
        mine.release();
        return std::nullopt;
    }
    item_type joined(typename A::item_type& a, typename B::item_type& b) {
        auto all = std::move(a.cover);
        all.add(b.cover);
        auto out = item_type{a.id, a.pass, std::move(all), std::move(a.key), a.weight, values(std::move(a.value), std::move(b.value))};
        dropped_.join(out);
        ++joined_;
        return out;
    }
    /// Whether the oldest waiting item of a source was left out, as its partner cannot come any more.
    template <std::size_t At>
    bool give_up() {
        auto& mine = std::get<At>(sides_);
        auto const& others = std::get<1 - At>(sides_).pulls;
        if (mine.waiting.empty() || !(others.ended() || others.pulls() > mine.oldest() + window_)) return false;
        auto item = mine.take(mine.oldest());
        if (rule_ == no_partner::refuse) {
            auto const pair = message('\'', this->in.name(At), "' has it, '", this->in.name(1 - At), "' has ");
            if (others.ended()) fail(*item, pair + "ended without it", skip_hint);
            fail(*item, message(pair, "not had it up to ", window_, window_ == 1 ? " place behind" : " places behind"), later_hint);
        }
        if (mine.left_out++ == 0) mine.first_left_out = item->key;
        dropped_.add(*item);
        return true;
    }
    template <class Item>
    [[noreturn]] static void fail(Item& item, std::string const& cause, char const* hint) {
        stage_error error("join_by_key", fault::content, {.key = item.key, .sample = item.id}, cause, hint);
        error.positions = std::move(item.cover);
        throw error;
    }
    static constexpr char const* skip_hint = "complete the data, or leave such items out, counted, with {.no_partner = no_partner::skip}";
    static constexpr char const* later_hint = "raise .window if it comes later; if it is not there complete the data, or leave such items out, counted, with {.no_partner = no_partner::skip}";

    std::uint64_t window_;
    no_partner rule_;
    std::tuple<detail::join_side<A>, detail::join_side<B>> sides_;
    std::uint64_t turn_ = 0;  // of the source that is pulled next
    dropped dropped_;
    std::uint64_t joined_ = 0;
};

namespace detail {

template <class A, class B>
auto join_of(join_options o, named_source<A> a, named_source<B> b) {
    constexpr bool identified = is_keyed<typename A::item_type> && is_keyed<typename B::item_type>;
    static_assert(identified, "join_by_key(a, b): the items of both must carry a key. HINT: read them from shards, or put split_by_rank right behind data in memory");
    if constexpr (!identified) return broken_chain{};
    else {
        if (o.window < 0 || o.window > (std::int64_t{1} << 28))
            throw config_error(message("join_by_key: window must be in [0, 2^28], got ", o.window, "\n  HINT: it is how many places apart partners may stand; 0 for sources in step"));
        no_weights("join_by_key", a, b);
        return joined<branches<A, B>>("join_by_key", join_stage<A, B>(branches<A, B>("join_by_key", std::move(a), std::move(b)), o));
    }
}

}  // namespace detail

/// Pairs of the items of two keyed sources that bear the same key: keyed tuples with id, pass, key and weight of the item of `a`, that stand for the covers of both.
/// a | join_by_key(b) is join_by_key(a, b). The sources are pulled in turns and order their data alike, as those of zip, so where both have the same samples
/// nothing waits; on several ranks both must be split alike. An item that lacks its partner is an error, or is left out and counted: its positions go on
/// with the next pair. A key whose items stand further apart than the window counts as missing on both sides.
///
/// Order    that in which the pairs become complete
/// Buffers  at most window + 1 items of each source
/// Resume   exact; replay of at most window + max(16, window / 4) items of each source, of which those that wait are made; one bit of state per item of the window;
///          not in another world
/// Threads  none
/// Errors   stage_error for an item without a partner and for a key that comes twice within the window, each once; forwards those of the sources, whose partners
///          are then without one; config_error for bad names, a bad window, and over parallel_map({.ordered = false})
///
///     join_by_key(std::move(photos), std::move(captions))    // b: (photo b, caption b) a: (photo a, caption a)
template <class A, class B>
auto join_by_key(A&& a, B&& b, join_options o = {}) {
    if constexpr (!detail::joinable<A, B>()) return broken_chain{};
    else return detail::join_of(o, detail::as_named(std::forward<A>(a), 0), detail::as_named(std::forward<B>(b), 1));
}
template <class B>
auto join_by_key(B&& b, join_options o = {}) {
    if constexpr (!detail::joinable<B>()) return broken_chain{};
    else
        return stage("join_by_key", [o, b = detail::as_named(std::forward<B>(b), 1)]<class A>(A input) mutable {
            auto out = detail::join_of(o, named_source<A>{"0", std::nullopt, std::move(input)}, std::move(b));
            if constexpr (is_pipeline<decltype(out)>) return std::move(out).release();
            else return out;
        });
}

}  // namespace penstock
