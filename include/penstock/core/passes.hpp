// Implements: passes, where every branch of a fan-in stands: which pass over its data, and how many turns it has left there.
#pragma once

#include <penstock/core/dropped.hpp>  // defines: dropped
#include <penstock/core/fan_in.hpp>   // defines: branches, epoch, state_*, config_error, stage_error

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// When a fan-in ends, and what becomes of sources that end before.
enum class stop_rule {
    first,        ///< ends with the first source that ends
    all,          ///< ended sources leave, the others go on: every item once
    all_restart,  ///< ended sources start their next pass, until every one has ended once; the next epoch goes on where they stand
    forever,      ///< ended sources start their next pass; never ends, put take(n) right behind it: what a shuffle holds at an epoch's edge is lost
};
constexpr char const* name(stop_rule rule) {
    constexpr char const* names[] = {"first", "all", "all_restart", "forever"};
    return names[static_cast<int>(rule)];
}

namespace detail {

/// The bookkeeping of a fan-in whose branches take turns.
///
/// A branch that knows its world_max has as many turns per pass as that, on every rank alike; where this rank's share is shorter the turn is
/// vacant. So whatever follows from the turns (ends, restarts) falls on the same turn on every rank. Any other branch has as many turns as it
/// has items: it ends with its last item where hint() tells the number, else with the turn that finds nothing.
/// An exception is no turn, as nobody knows whether it cost an item: that of a reader may have cost many, that of a batch costs none. The turn is taken
/// again by the next call, and those that lost items leave over are vacant.
///
/// Passes are numbered: the first one of epoch e is pass e, a restart is the next. Under a rule that restarts, reset(e + 1) after e is an edge:
/// a pass that is not over goes on. Any other reset starts pass e everywhere.
template <class Branches>
class passes {
public:
    static constexpr auto unknown = ~std::uint64_t{0};
    struct place {
        std::uint64_t left = unknown;   // turns left in this pass
        std::uint64_t whole = unknown;  // turns left when this pass began
        std::uint64_t start = unknown;  // turns left when this epoch began
        std::uint64_t pass = 0;
        bool slots = false;             // the turns are those of world_max
        bool over = false;              // the pass is
        bool ended = false;             // a pass ended in this epoch
        bool closed = false;            // nothing comes behind the last turn: asked and confirmed
        bool used = false;              // a turn was taken that `whole` does not count, or failed
    };

    passes(char const* stage, Branches const& in, stop_rule rule) : stage_(stage), rule_(rule), at_(in.size()), late_(Branches::drops ? in.size() : 0) {
        if (restarts() && !Branches::resets)
            throw config_error(message(stage, ": a source that ends must start again, but one of them cannot be reset, got ", name(rule), "\n  HINT: choose a rule that ends, or a source with reset()"));
        for (std::size_t i = 0; i != at_.size(); ++i)
            if (auto const said = in.facts(i); said.identified && !said.counted) uncounted(in.name(i));
        for (std::size_t i = 0; i != at_.size(); ++i) {
            begin(in, i, 0);
            at_[i].start = at_[i].left;
        }
    }

    place& operator[](std::size_t i) { return at_[i]; }
    place const& operator[](std::size_t i) const { return at_[i]; }
    stop_rule rule() const { return rule_; }
    bool restarts() const { return rule_ == stop_rule::all_restart || rule_ == stop_rule::forever; }
    epoch const& current() const { return epoch_; }
    std::uint64_t ended() const { return ended_; }
    /// Whether the fan-in has ended.
    bool done() const { return rule_ == stop_rule::forever ? false : rule_ == stop_rule::first ? ended_ != 0 : ended_ == at_.size(); }

    /// Returns whether the branches go on from the epoch before.
    bool reset(Branches& in, epoch e) {
        if (restarts())
            refuse_recut(e, stage_, "choose stop_rule::all", "starts its sources again, so that they stand in different passes");
        bool const edge = restarts() && ready_ && e.seed == epoch_.seed && e.key == epoch_.key && e.line == epoch_.line && e.index == epoch_.index + 1;
        epoch_ = e.plain();  // the ledger lives during the reset alone
        for (std::size_t i = 0; i != at_.size(); ++i) {
            if (!edge || at_[i].over) {
                auto const pass = edge ? at_[i].pass + 1 : e.index;
                if (!edge && Branches::drops) late_[i] = {};
                if (edge) keep_trailing(in, i);
                in.reset(i, e, pass);
                begin(in, i, pass);
            }
            at_[i].start = at_[i].left;
            at_[i].ended = false;
        }
        ended_ = 0;
        ready_ = false;
        divided_ = e.used != nullptr;
        return edge;
    }
    /// To be called before the first turn: refuses what cannot take turns, and ends what is empty. True the first time that it does not throw.
    bool prepare(Branches& in) {
        if (ready_) return false;
        for (std::size_t i = 0; i != at_.size(); ++i) {
            if (at_[i].left == 0 && !at_[i].over && rule_ != stop_rule::all && !divided_)
                throw config_error(message(stage_, ": source '", in.name(i), "' must have an item, got an empty one\n  HINT: leave it out, or choose a rule that lets ended sources leave"));
            if (!at_[i].slots && in.facts(i).identified) uncounted(in.name(i));
        }
        for (std::size_t i = 0; i != at_.size(); ++i)
            if (at_[i].left == 0 && !at_[i].over) end(i);
        ready_ = true;
        return true;
    }
    bool ready() const { return ready_; }

    void turn(Branches const& in, std::size_t i) {
        if (--at_[i].left == 0) ran_out(in, i);
    }
    /// After the last turn of a pass by count: whether it is over indeed, which only a wrong hint denies.
    bool ran_out(Branches const& in, std::size_t i) {
        auto& b = at_[i];
        if (b.slots) return end(i);
        auto const more = in.hint(i).upper;
        b.left = more.value_or(unknown);
        if (b.left == 0) return end(i);
        b.whole = b.left;
        b.used = true;
        return false;
    }
    bool end(std::size_t i) {
        auto& b = at_[i];
        b.over = true;
        b.left = 0;
        ended_ += !std::exchange(b.ended, true);
        return true;
    }
    /// A branch without slots yielded nothing.
    void found_end(Branches const& in, std::size_t i) {
        if (at_[i].left == at_[i].whole && !at_[i].used && rule_ != stop_rule::all) empty(in, i);
        at_[i].closed = true;
        end(i);
    }

    /// Makes sure that nothing comes behind the last turn; then the trailing covers are complete.
    void close(Branches& in, std::size_t i) {
        auto& b = at_[i];
        if (!b.over || b.closed) return;
        bool more = false;
        in.visit(i, [&](auto& s) {
            for (; auto const item = s.next(); more = true)
                if constexpr (Branches::drops) late_[i].add(*item);
        });
        b.closed = true;
        if (more)
            throw stage_error(stage_, fault::content, {}, message("source '", in.name(i), "' promised at most ", b.whole, " items on any rank, and yielded more"),
                              "its counts are wrong: for shards, write the index again");
    }
    void close_all(Branches& in) {
        for (std::size_t i = 0; i != at_.size(); ++i) close(in, i);
    }
    /// The next pass of a branch whose pass is over.
    void restart(Branches& in, std::size_t i) {
        close(in, i);
        keep_trailing(in, i);
        if constexpr (Branches::resets) in.reset(i, epoch_, at_[i].pass + 1);
        begin(in, i, at_[i].pass + 1);
        if (at_[i].left == 0) {
            end(i);
            empty(in, i);
        }
    }

    /// What was dropped at the end of an earlier pass goes with the next item of its branch.
    template <class Item>
    void join(Item& item, std::size_t i) {
        if constexpr (Branches::drops) late_[i].join(item);
    }
    /// The same for an item that was discarded: what goes with it is told already.
    void pass(std::size_t i) {
        if constexpr (Branches::drops) late_[i] = {};
    }
    cover trailing(Branches& in) {
        cover all;
        for (std::size_t i = 0; i != at_.size(); ++i)
            if (at_[i].over) {
                if constexpr (Branches::drops) all.add(late_[i].take());
                in.visit(i, [&](auto& s) { all.add(penstock::trailing(s)); });
            }
        return all;
    }

    void save(state_writer::record head) const { head.put("stop", static_cast<std::uint64_t>(rule_)).put("sources", at_.size()).put("seed", epoch_.seed).put("epoch", epoch_.index).put("key", epoch_.key).put("line", epoch_.line).put("ready", ready_); }
    void load(state_reader::record const& head) {
        if (head.get("stop") != static_cast<std::uint64_t>(rule_) || head.get("sources") != at_.size())
            throw state_error(message("load: ", stage_, ": saved over ", head.get("sources"), " sources with stop rule number ", head.get("stop"), ", this one has ", at_.size(), " and number ",
                                      static_cast<int>(rule_), "\n  HINT: build it with the sources and options that were saved"));
        epoch_ = {head.get("seed"), head.get("epoch"), head.get("key"), head.get("line")};
        ready_ = head.get("ready") != 0;
        ended_ = 0;
    }
    void save(Branches const& in, std::size_t i, state_writer& w) const {
        auto own = w.branch(in.name(i));
        auto const& b = at_[i];
        own.stage(stage_, 1).put("left", b.left).put("whole", b.whole).put("start", b.start).put("pass", b.pass).put("slots", b.slots).put("over", b.over).put("ended", b.ended).put("closed", b.closed).put("used", b.used);
        if constexpr (Branches::drops) late_[i].save(own.stage(std::string(stage_) + ".dropped", 1));
    }
    /// The branch itself is loaded after this: it stands in another pass than the epoch says.
    void load(Branches& in, std::size_t i, state_reader& r) {
        auto own = r.branch(in.name(i));
        auto const record = own.stage(stage_, 1);
        auto& b = at_[i];
        b = {record.get("left"), record.get("whole"), record.get("start"), record.get("pass"), record.get("slots") != 0,
             record.get("over") != 0, record.get("ended") != 0, record.get("closed") != 0, record.get("used") != 0};
        if (b.left > b.whole || (b.over && b.left != 0))
            throw state_error(message("load: ", stage_, ": source '", in.name(i), "' cannot have ", b.left, " of ", b.whole, " turns left\n  HINT: the state is damaged; use an older checkpoint"));
        ended_ += b.ended;
        if constexpr (Branches::drops) late_[i].load(own.stage(std::string(stage_) + ".dropped", 1));
        if constexpr (Branches::resets)
            if (!divided_) in.reset(i, epoch_, b.pass);  // else the reset before this load has put it there, with its part of the ledger
    }

    /// Once the branch itself is loaded too: whether it has the turns per pass that were saved.
    void check_loaded(Branches const& in, std::size_t i) const {
        auto const& b = at_[i];
        if (!Branches::resets || !b.slots) return;
        if (auto const most = in.facts(i).world_max; most != b.whole || b.start > b.whole)
            throw state_error(message("load: ", stage_, ": source '", in.name(i), "' was saved with ", b.start, " of ", b.whole, " turns per pass, here it has ",
                                      most ? std::to_string(*most) : "an unknown number", "\n  HINT: read the data that was read then, or begin the epoch again"));
    }

private:
    [[noreturn]] void uncounted(std::string const& which) const {
        throw config_error(message(stage_, ": every rank must know how many items source '", which, "' has on any rank, got unknown",
                                   "\n  HINT: batch each source first; a filter before it hides the number, so drop nothing or mark instead"));
    }
    [[noreturn]] void empty(Branches const& in, std::size_t i) const {
        throw stage_error(stage_, fault::content, {}, message("source '", in.name(i), "' yielded nothing in pass ", at_[i].pass), "leave it out, or choose a rule that lets ended sources leave");
    }
    void begin(Branches const& in, std::size_t i, std::uint64_t pass) {
        auto const most = in.facts(i).world_max;
        auto const left = most ? most : in.hint(i).upper;
        auto const before = at_[i];
        at_[i] = {.left = left.value_or(unknown), .whole = left.value_or(unknown), .start = before.start, .pass = pass, .slots = most.has_value(), .ended = before.ended};
    }
    void keep_trailing(Branches& in, std::size_t i) {
        if constexpr (Branches::drops) late_[i].add(in.visit(i, [](auto& s) { return penstock::trailing(s); }));
    }

    char const* stage_;
    stop_rule rule_;
    epoch epoch_{};
    bool divided_ = false;  // the epoch is the rest of one that other ranks began
    std::vector<place> at_;
    std::vector<dropped> late_;
    std::uint64_t ended_ = 0;
    bool ready_ = false;
};

}  // namespace detail

}  // namespace penstock
