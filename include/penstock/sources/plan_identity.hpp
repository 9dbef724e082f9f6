// Implements: plan_identity, by which a saved position is refused when the plan it is loaded into is another one.
#pragma once

#include <penstock/core/state.hpp>          // defines: state_writer, state_reader, state_error
#include <penstock/sources/shard_plan.hpp>  // defines: shard_plan

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::detail {

/// Sizes, the place in the world, and hashes over growing parts of the shard list, which tell where another plan first differs.
/// Hashing takes about 60 ns per shard, once, when a position is first saved or loaded.
class plan_identity {
public:
    void save(state_writer::record& r, shard_plan const& p) const {
        r.put("shards", p.shards()).identify("samples", p.samples()).identify("epoch", p.epoch_samples()).identify("shuffled", p.shuffled());
        auto const& marks = marks_of(p);
        for (std::size_t k = 0; k != marks.size(); ++k) r.identify("plan" + std::to_string(k), marks[k]);
        r.identify("plan_part", static_cast<std::uint64_t>(p.choice().which())).identify("plan_held", p.choice().held());
        r.put("rank", p.part().rank).put("world", p.part().size);
    }

    /// Throws state_error, naming the first difference, unless `r` was saved with an equal plan. `who` is the stage to name.
    void check(state_reader::record const& r, shard_plan const& p, char const* who) const {
        auto const differ = [who](std::string_view what, std::uint64_t saved, std::uint64_t here, std::string_view hint) {
            if (saved != here) throw state_error(message("load: ", who, ": the state was saved with ", what, " ", saved, ", this plan has ", here, "\n  HINT: ", hint));
        };
        auto const same_data = "resume with the shards and counts of the run that saved it, or start a new run";
        differ("number of shards", r.get("shards"), p.shards(), same_data);
        auto const& marks = marks_of(p);
        for (std::size_t k = 0; k != marks.size(); ++k) {
            if (r.get("plan" + std::to_string(k)) == marks[k]) continue;
            auto const from = k == 0 ? 0 : mark(p, k - 1), to = mark(p, k);
            auto const& names = p.names();
            throw state_error(message("load: ", who, ": the state was saved with another name or number of samples ",
                                      to - from == 1 ? message("of shard ", from, ", here ", names[from], " with ", p.count(from))
                                                     : message("among shards ", from, " to ", to - 1, ", here ", names[from], " to ", names[to - 1]),
                                      " (", r.get("samples"), " samples in all, here ", p.samples(), ")\n  HINT: ", same_data));
        }
        if (auto const which = r.get("plan_part"), held = r.get("plan_held"); which != static_cast<std::uint64_t>(p.choice().which()) || held != p.choice().held())
            throw state_error(message("load: ", who, ": the state was saved reading ", which <= 2 ? shard_plan::text_of({static_cast<part>(which), held}) : "an unknown part",
                                      ", this plan reads ", p.chosen_text(), "\n  HINT: give part and hold_out as in the run that saved it; train and val have states of their own"));
        differ("samples per epoch", r.get("epoch"), p.epoch_samples(), "give samples_per_epoch and repeat as in the run that saved it");
        differ("shuffle_shards", r.get("shuffled"), p.shuffled(), "build the same chain as the one that was saved");
        differ("world size", r.get("world"), p.part().size, "start as many ranks as the run that saved it had, or give its ledger to reset(epoch, ledger)");
        differ("rank", r.get("rank"), p.part().rank, "each rank loads its own state");
    }

private:
    static constexpr std::size_t most_marks = 8;
    static std::size_t mark(shard_plan const& p, std::size_t k) { return (k + 1) * p.shards() / (std::min)(most_marks, p.shards()); }

    std::vector<std::uint64_t> const& marks_of(shard_plan const& p) const {
        if (marks_.empty()) {
            std::vector<std::size_t> ends((std::min)(most_marks, p.shards()));
            for (std::size_t k = 0; k != ends.size(); ++k) ends[k] = mark(p, k);
            marks_ = p.fingerprints(ends);
        }
        return marks_;
    }

    mutable std::vector<std::uint64_t> marks_;
};

}  // namespace penstock::detail
