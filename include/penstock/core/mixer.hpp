// Implements: mixer, a stage that takes one item at a time from one of its branches; who is next, a picker decides.
#pragma once

#include <penstock/core/passes.hpp>  // defines: passes, stop_rule, branches, fan_in

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace penstock::detail {

/// A Picker is a copyable value: begin(epoch) starts its sequence over all branches, pick() is the branch whose turn is next, leave(i) takes a
/// branch out; same_every_epoch() tells whether the sequence is; save(record) and load(record). Its picks repeat after period(), of which
/// share(i) are branch i's; 0 if they never do. It never looks at the items, so its picks are the
/// same on every rank.
template <class Branches, class Picker>
class [[nodiscard]] mixer : public fan_in<Branches> {
    static constexpr auto none = ~std::size_t{0};
    static constexpr auto most_replayed = std::uint64_t{1} << 32;  // picks, a matter of seconds

public:
    using item_type = typename Branches::item_type;
    mixer(char const* stage, Branches all, stop_rule rule, Picker picker) : fan_in<Branches>{std::move(all), stage}, passes_(stage, this->in, rule), picker_(std::move(picker)), fresh_(picker_) {
        picker_.begin(passes_.current());
    }

    std::optional<item_type> next() {
        return turn<std::optional<item_type>>([](auto& s) { return s.next(); });
    }
    bool discard() {
        return turn<bool>([](auto& s) { return penstock::discard(s); });
    }
    void reset(epoch e)
        requires Branches::resets
    {
        refuse_unnamed_recut<item_type>(e, this->label);
        passes_.reset(this->in, e);
        restart_picks();
        prepare();
    }
    size_hint hint() const {
        if (passes_.rule() == stop_rule::all) {
            size_hint sum{0, 0};
            for (std::size_t i = 0; i != this->in.size(); ++i)
                if (!passes_[i].over) sum = sum.plus(this->in.hint(i));
            return sum;
        }
        if (passes_.ready() && passes_.done()) return {0, 0};
        auto const all = world_most();
        return {0, all ? std::optional(*all - (std::min)(turns_, *all)) : std::nullopt};
    }
    chain_facts facts() const {
        auto said = this->in.joint(sum_of);
        auto const rule = passes_.rule();
        said.world_max = world_most();
        if (rule == stop_rule::first) said = std::move(said).cut_short();
        if (rule != stop_rule::all) said.world_min.reset();
        said.counted = said.counted && rule != stop_rule::forever && (said.world_max || !all_slots());
        said.goes_on = said.goes_on || passes_.restarts();
        said.same_every_epoch = said.same_every_epoch && (rule == stop_rule::all || (rule == stop_rule::first && picker_.same_every_epoch()));
        return said;
    }
    void save(state_writer& w) const
        requires Branches::resumes
    {
        auto head = w.stage(this->label, 1);
        passes_.save(head);
        head.put("turns", turns_).put("again", again_ == none ? 0 : again_ + 1);
        picker_.save(head);
        for (std::size_t i = 0; i != this->in.size(); ++i) {
            passes_.save(this->in, i, w);
            this->in.save(i, w);
        }
    }
    void load(state_reader& r)
        requires Branches::resumes
    {
        auto const head = r.stage(this->label, 1);
        passes_.load(head);
        turns_ = head.get("turns");
        again_ = head.get("again") == 0 ? none : static_cast<std::size_t>(head.get("again") - 1);
        if (again_ != none && again_ >= this->in.size())
            throw state_error(message("load: ", this->label, ": there is no source number ", again_, "\n  HINT: the state is damaged; use an older checkpoint"));
        for (std::size_t i = 0; i != this->in.size(); ++i) {
            passes_.load(this->in, i, r);
            this->in.load(i, r);
            passes_.check_loaded(this->in, i);
        }
        picker_ = fresh_;
        picker_.begin(passes_.current());
        if (passes_.rule() == stop_rule::all)
            for (std::size_t i = 0; i != this->in.size(); ++i)
                if (passes_[i].over) picker_.leave(i);
        picker_.load(head, this->label);
        most_.reset();
        attention_ = true;
    }
    cover trailing()
        requires Branches::drops
    {
        return passes_.trailing(this->in);
    }

private:
    /// Small, so that it is inlined where it is called: an optional that is returned through memory costs more than all the rest.
    template <class Result, class Pull>
    Result turn(Pull pull) {
        if (!attention_) [[likely]] {
            auto const i = picker_.pick();
            auto got = take<Result>(i, pull);
            if (got) [[likely]] return got;
            nothing(i, true);
            return search<Result>(pull, 1);
        }
        return search<Result>(pull, 0);
    }
    template <class Result, class Pull>
    [[gnu::noinline]] Result search(Pull pull, std::size_t dry) {
        for (;; ++dry) {
            if (attention_ && !attend(dry != 0)) return Result{};
            auto const i = again_ == none ? picker_.pick() : std::exchange(again_, none);
            auto got = take<Result>(i, pull);
            if (got) return got;
            nothing(i, dry == 0);
        }
    }
    template <class Result, class Pull>
    Result take(std::size_t i, Pull pull) {
        try {
            auto got = this->in.visit(i, pull);
            if (got) [[likely]] {
                if constexpr (!std::is_same_v<Result, bool>) {
                    passes_.join(*got, i);
                    this->in.stamp(*got, i);
                } else passes_.pass(i);
                taken(i);
            }
            return got;
        } catch (...) {
            passes_[i].used = attention_ = true;
            again_ = i;
            throw;
        }
    }
    [[gnu::noinline]] void nothing(std::size_t i, bool first) {
        if (first) empty_passes_.assign(this->in.size(), 0);
        if (passes_[i].slots) return taken(i);  // vacant: another rank has an item here
        attention_ = true;
        again_ = i;                             // if found_end refuses, the next call meets the same end
        passes_.found_end(this->in, i);
        if (passes_.rule() == stop_rule::all) again_ = none;
        pass_over(i);
    }
    void taken(std::size_t i) {
        ++turns_;
        if (--passes_[i].left == 0) [[unlikely]] ran_out(i);
    }
    [[gnu::noinline]] void ran_out(std::size_t i) {
        if (passes_.ran_out(this->in, i)) pass_over(i);
    }
    void pass_over(std::size_t i) {
        attention_ = true;
        if (passes_.rule() == stop_rule::all) picker_.leave(i);
    }
    /// What happens between turns: the checks before the first one, the next passes, the end. False at the end.
    bool attend(bool dry) {
        prepare();
        if (passes_.done()) {
            passes_.close_all(this->in);
            return false;
        }
        if (passes_.restarts())
            for (std::size_t i = 0; i != this->in.size(); ++i)
                if (passes_[i].over) {
                    passes_.restart(this->in, i);
                    if (dry) refuse_for_ever(i);
                }
        attention_ = false;
        return true;
    }
    void prepare() {
        if (passes_.prepare(this->in) && passes_.rule() == stop_rule::all)
            for (std::size_t i = 0; i != this->in.size(); ++i)
                if (passes_[i].over) picker_.leave(i);
    }
    /// Turns that are all vacant on this rank would never end: two pass ends of every branch hold a whole pass of each.
    void refuse_for_ever(std::size_t i) {
        ++empty_passes_[i];
        if (std::all_of(empty_passes_.begin(), empty_passes_.end(), [](auto n) { return n >= 2; }))
            throw stage_error(this->label, fault::content, {}, "this rank's share of every source is empty", "batch each source first, then every rank has items; or use fewer ranks");
    }
    void restart_picks() {
        picker_ = fresh_;
        picker_.begin(passes_.current());
        turns_ = 0;
        again_ = none;
        most_.reset();
        attention_ = true;
    }
    /// Turns of this epoch, by replaying the picks from its start. Restarts change no pick, so the first end of each branch is all that counts.
    std::optional<std::uint64_t> world_most() const {
        if (passes_.rule() == stop_rule::forever) return std::nullopt;
        if (!all_slots()) return std::nullopt;
        if (!most_) most_ = count_turns();
        return *most_;
    }
    bool all_slots() const {
        for (std::size_t i = 0; i != this->in.size(); ++i)
            if (!passes_[i].slots) return false;
        return true;
    }
    /// Nothing where the number is no number, or would take more than `most_replayed` picks to find. Whole periods of the picks are not replayed.
    std::optional<std::uint64_t> count_turns() const {
        std::vector<std::uint64_t> left;
        std::optional<std::uint64_t> sum = 0;
        for (std::size_t i = 0; i != this->in.size(); ++i) {
            left.push_back(passes_[i].start);
            if (sum) sum = sum_of(*sum, left.back());
        }
        if (passes_.rule() == stop_rule::all) return sum;
        auto picks = fresh_;
        picks.begin(passes_.current());
        auto const period = picks.period();
        auto const least = passes_.rule() == stop_rule::first ? std::min_element(left.begin(), left.end()) : std::max_element(left.begin(), left.end());
        if (period == 0 && *least > most_replayed) return std::nullopt;
        auto open = left.size() - static_cast<std::size_t>(std::count(left.begin(), left.end(), std::uint64_t{0}));  // an empty source is refused by reset
        std::uint64_t skipped = 0;
        for (std::uint64_t n = 0;; ++n) {
            if (open == 0 || (passes_.rule() == stop_rule::first && open != left.size())) return sum_of(skipped, n);
            if (n == most_replayed) return std::nullopt;
            if (period != 0 && n % period == 0) {
                auto whole = ~std::uint64_t{0};  // periods in which no branch ends
                for (std::size_t i = 0; i != left.size(); ++i)
                    if (left[i] != 0) whole = (std::min)(whole, (left[i] - 1) / picks.share(i));
                if (whole > (~std::uint64_t{0} - skipped) / period) return std::nullopt;
                skipped += whole * period;
                for (std::size_t i = 0; i != left.size(); ++i)
                    if (left[i] != 0) left[i] -= whole * picks.share(i);
            }
            auto& mine = left[picks.pick()];
            if (mine != 0 && --mine == 0) --open;
        }
    }

    passes<Branches> passes_;
    Picker picker_, fresh_;
    std::uint64_t turns_ = 0;   // of this epoch
    std::size_t again_ = none;  // the branch whose turn found its end, and is to be taken in its next pass
    bool attention_ = true;     // something is to be done before the next turn
    std::vector<std::uint64_t> empty_passes_;
    mutable std::optional<std::optional<std::uint64_t>> most_;  // once it was asked for
};

}  // namespace penstock::detail
