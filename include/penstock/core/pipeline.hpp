// Implements: pipeline<S>, a source the user holds: next, reset, save, load, and a single-pass input range.
#pragma once

#include <penstock/core/control.hpp>       // defines: control, control_log, control_walk, steered
#include <penstock/core/describe.hpp>      // defines: describe
#include <penstock/core/errors.hpp>        // defines: config_error, state_error
#include <penstock/core/recut.hpp>         // defines: epoch, reset_with_ledger, refuse_recut
#include <penstock/core/sentence.hpp>      // defines: sentence
#include <penstock/core/source.hpp>        // defines: source, resettable, resumable, chain_facts, stoppable
#include <penstock/core/stats.hpp>         // defines: stats_report, collect_stats

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// A chain that is ready to run: lazy, move-only, consumed by one thread at a time.
///
/// As a range it is a single-pass input range that pulls when it is looked at, so take(3) takes exactly three, and an item
/// that was pulled by a comparison but never read is handed out by the next loop. A new pass is reset(epoch), never begin().
template <source S>
class [[nodiscard("a chain does nothing until it is pulled")]] pipeline {
public:
    using item_type = typename S::item_type;

    explicit pipeline(S source) : source_(std::move(source)) {}
    pipeline(pipeline&&) = default;
    pipeline& operator=(pipeline&&) = default;  // where its stages can be assigned: not over a capturing lambda
    pipeline(pipeline const&) = delete;

    std::optional<item_type> next() {
        if (direct_) [[likely]] return source_.next();  // two calls: the loop around this one is as tight as a loop by hand
        if (auto item = take_peeked()) return item;
        start();
        direct_ = true;
        return source_.next();
    }
    /// Rewinds to the start of epoch e.
    void reset(epoch e)
        requires resettable<S>
    {
        drop_peeked();
        direct_ = false;
        source_.reset(e);
        adopt_controls();
        epoch_ = e.plain();
        started_ = true;
    }
    void reset(std::uint64_t seed, std::uint64_t index)
        requires resettable<S>
    {
        reset(epoch::of(seed, index));
    }
    /// Rewinds to the start of epoch e, without what `used` holds: the rest of an epoch that another number of ranks began. All ranks of the new
    /// world give the same ledger, merged from all ranks of the old one. What is saved afterwards is loaded with that ledger as well.
    void reset(epoch e, ledger const& used)
        requires resettable<S>
    {
        e.used = &used;
        reset_with_ledger(e, "the source", [this](epoch const& with) { reset(with); });
    }

    size_hint hint() const {
        auto h = hint_of(source_);
        if (peeked_ && !read_) {
            ++h.lower;
            if (h.upper) ++*h.upper;
        }
        return h;
    }
    chain_facts facts() const { return facts_of(source_); }
    /// The most items any rank yields in this epoch, the same on every rank, if it is known.
    std::optional<std::uint64_t> world_max() const { return facts().world_max; }

    /// The position before the next item: loading it into an equal chain gives the same remaining items. Pure.
    penstock::state save() const
        requires resumable<S>
    {
        penstock::state out;
        state_writer w(out);
        save(w);
        return out;
    }
    template <sentence why = "save: this chain cannot be saved, as a source or a stage in it tells no position. HINT: write save and load; say via(fn, per_item) of a view that makes each value of one item">
    penstock::state save() const
        requires(!resumable<S>)
    = delete;
    void save(state_writer& w) const
        requires resumable<S>
    {
        if (peeked_ && !read_) throw state_error("save: an item was pulled by a comparison and not read yet\n  HINT: read it (*it), or save before the loop looks for the next item");
        w.stage("pipeline", 1).put("started", started_).put("seed", epoch_.seed).put("epoch", epoch_.index).put("key", epoch_.key).put("line", epoch_.line);
        if constexpr (steered<S>) walk(false, [&](control_log& log, auto&&...) { log.save(w); });
        source_.save(w);
    }
    /// Continues where `s` was saved; needs no reset. A state of another chain is a state_error that names the first difference.
    void load(penstock::state const& s)
        requires resumable<S>
    {
        state_reader r(s);
        load(r);
        r.finish();
    }
    /// The same for a state that was saved after reset(epoch, used).
    void load(penstock::state const& s, ledger const& used)
        requires(resumable<S> && resettable<S>)
    {
        state_reader r(s);
        load(r, &used);
        r.finish();
    }
    void load(state_reader& r, ledger const* used = nullptr)
        requires resumable<S>
    {
        auto const head = r.stage("pipeline", 1);
        drop_peeked();
        direct_ = started_ = false;  // after a load that throws the epoch begins again
        epoch_ = {head.get("seed"), head.get("epoch"), head.get("key"), head.get("line")};
        bool const started = head.get("started") != 0;
        if constexpr (resettable<S>)
            if (started || used || steered<S>) {  // steered: no thread works on the stages while their controls are set
                auto with = epoch_;
                with.used = used;
                source_.reset(with);
            }
        if constexpr (steered<S>) walk(false, [&](control_log& log, auto&&...) { log.load(r); });  // before items are pulled again
        source_.load(r);
        started_ = started;
    }
    /// Whether the next epoch goes on where this one was left, so that its end is a position worth saving.
    bool goes_on() const { return facts().goes_on; }
    penstock::epoch current() const { return epoch_; }

    /// Sets a control that stages of this chain read: it holds from the next item on. One that was pulled by a comparison already stays as it is.
    template <class T>
    void set(control<T>& c, std::type_identity_t<T> value)
        requires steered<S>
    {
        std::vector<std::pair<control_log*, std::uint64_t>> logs;
        bool read = false;
        walk(true, [&](control_log& log, std::uint64_t const& item, auto) {  // and what was made ahead is to be made anew
            logs.emplace_back(&log, item);
            read = read || log.reads(c.bits());
        });
        if (!read) throw config_error(message("set: no stage of this chain reads the control '", c.name(), "'\n  HINT: give steer(control, f) a copy of this very control"));
        *c.bits() = control<T>::pack(value);
        for (auto const& [log, item] : logs) log->adopt(item);
        forget_old_changes();
    }

    penstock::cover trailing()
        requires dropping<S>
    {
        return source_.trailing();
    }

    void attach(std::stop_token token) { penstock::attach(source_, std::move(token)); }

    /// The counters of every stage that keeps some, the source first.
    stats_report stats() const {
        stats_report r;
        collect_stats(source_, r);
        return r;
    }
    /// The same as text: a line per stage, and a sentence that names the bottleneck. See describe.hpp.
    std::string describe() const { return penstock::describe(stats()); }

    /// Hands every remaining item to f until f returns false; false if f stopped it.
    template <class F>
    bool for_each_while(F&& f) {
        if (auto item = take_peeked(); item && !f(std::move(*item))) return false;
        start();
        return penstock::for_each_while(source_, f);
    }

    /// The stages themselves, for what a pipeline does not forward.
    S& inner() { return source_; }
    S const& inner() const { return source_; }
    /// The stages, to build a longer chain over. Not in the middle of an epoch: the keys of random stages come from the end of the chain.
    S release() && {
        if (started_)
            throw config_error("pipeline: items were pulled from it already, so no stage can be added: it would begin the epoch again"
                               "\n  HINT: build the whole chain first, or write by_ref(p) | ... to go on from where it is");
        return std::move(source_);
    }

    class iterator {
    public:
        using value_type = item_type;
        using difference_type = std::ptrdiff_t;
        using reference = item_type&;
        using pointer = item_type*;
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(pipeline& p) : p_(&p) {}

        reference operator*() const {
            p_->peek();
            p_->read_ = true;
            return *p_->peeked_;
        }
        pointer operator->() const { return std::addressof(**this); }
        iterator& operator++() {
            p_->peek();
            p_->drop_peeked();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool at_end() const { return !p_->peek(); }
        friend bool operator==(iterator const& a, iterator const& b) { return a.p_ == b.p_; }  // all share the one position; cache1 of range-v3 asks
        friend bool operator==(iterator const& i, std::default_sentinel_t) { return i.at_end(); }

    private:
        pipeline* p_ = nullptr;
    };
    iterator begin() {
        if (read_) drop_peeked();
        return iterator(*this);
    }
    std::default_sentinel_t end() const { return {}; }

private:
    template <class F>
    void walk(bool moves, F f) const {
        struct walker final : control_walk {
            F& f;
            walker(bool moving, F& g) : control_walk(moving), f(g) {}
            void operator()(control_log& log, std::uint64_t const& item, std::string_view record) override { f(log, item, record); }
        } w(moves, f);
        source_.controls(w);
    }
    /// What would be pulled again begins, in each steered stage, with the item that a state taken now says: positions only move on.
    void forget_old_changes() {
        if constexpr (resumable<S>) {
            bool grown = false;
            walk(false, [&](control_log& log, auto&&...) { grown = grown || log.grown(); });
            if (!grown) return;
            penstock::state here;
            try {
                state_writer w(here);
                source_.save(w);
            } catch (config_error const&) {  // any_pipeline over a chain that tells no position
                return;
            }
            auto at = here.records.begin();  // stages are walked in the order of their records
            walk(false, [&](control_log& log, std::uint64_t const&, std::string_view record) {
                if (record.empty()) return;
                at = std::find_if(at, here.records.end(), [&](state_record const& r) { return std::string_view(r.stage).substr(r.stage.rfind('/') + 1) == record; });
                if (at != here.records.end()) log.forget_before(state_reader::record(*at++, {}).get("item"));
            });
        }
    }
    bool peek() {
        if (!peeked_) {
            start();
            direct_ = false;
            if (auto item = source_.next()) peeked_.emplace(std::move(*item));  // from its value: a copy of a small optional reads in one piece what was written in two, and stalls
        }
        return peeked_.has_value();
    }
    void drop_peeked() {
        peeked_.reset();
        read_ = false;
    }
    std::optional<item_type> take_peeked() {  // an item that was read through an iterator has been delivered
        if (read_) drop_peeked();
        auto item = std::move(peeked_);
        drop_peeked();
        return item;
    }
    void start() {
        if (started_) return;
        started_ = true;
        if constexpr (resettable<S>) source_.reset(epoch_);
        adopt_controls();
    }
    /// An epoch begins with the newest values; they may have been set before, or through another chain. Where a source goes on over the edge, a thread
    /// may be at work in it: it is stopped if there is a new value, and nothing is asked of its place if there is none.
    void adopt_controls() {
        if constexpr (steered<S>) {
            bool const on = goes_on();
            bool changed = !on;
            walk(false, [&](control_log& log, auto&&...) { changed = changed || log.outdated(); });
            if (changed) walk(on, [on](control_log& log, std::uint64_t const& item, auto) {
                log.adopt(item);
                if (!on) log.forget_before(item);
            });
        }
    }

    S source_;
    std::optional<item_type> peeked_;
    epoch epoch_{};
    bool started_ = false;
    bool read_ = false;
    bool direct_ = false;  // started and nothing peeked, so next() need not ask
};

template <class T>
inline constexpr bool is_pipeline = false;
template <class S>
inline constexpr bool is_pipeline<pipeline<S>> = true;

}  // namespace penstock
