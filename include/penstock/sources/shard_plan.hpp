// Implements: shard_plan, which shards a data set has, how many samples each holds, and who reads which of them: a value, not a source.
#pragma once

#include <penstock/core/errors.hpp>          // defines: config_error, message
#include <penstock/core/world.hpp>           // defines: world, checked
#include <penstock/sources/sample_choice.hpp>  // defines: part, sample_choice, chosen_samples
#include <penstock/sources/shard_names.hpp>  // defines: shard_names

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// What shard_list(...) is told beside the names.
struct shard_list_options {
    /// Samples in every shard, when all hold the same number; 0: not said.
    std::uint64_t samples_per_shard = 0;
    /// Samples in each shard, in list order; empty: not said. Without either, the reader finds out: from an index, else by a scan.
    std::vector<std::uint64_t> counts = {};
    /// Length of an epoch in samples over all ranks; 0: the whole data set. Epoch i is samples [i*n, (i+1)*n) of the endless line of
    /// passes, so nothing is left out or repeated for good, however n and the data set divide.
    std::uint64_t samples_per_epoch = 0;
    /// Passes over the data set per epoch.
    std::uint64_t repeat = 1;
    /// Which part of the data set this list reads: with `hold_out` = 0.05 part::val is 5 % of the samples and part::train all others. Both have
    /// their own epochs. Each shard gives its share, rounded up or down; a sample stays in its part whatever shards, ranks and seeds are added.
    penstock::part part = penstock::part::all;
    double hold_out = 0;
};

/// The plan of a data set: read_tar() and the other readers turn it into a source. Cheap to copy; every change makes a new plan.
///
/// Sample numbers (ids) count through the shards in list order and are permanent: neither shuffling nor splitting changes them.
class shard_plan {
public:
    using plan_type = void;  // may stand at the head of a chain, see core/stage.hpp

    explicit shard_plan(shard_names names, shard_list_options const& o = {})
        : names_(std::move(names)), samples_per_epoch_(o.samples_per_epoch), repeat_(o.repeat) {
        choose(o);
        if (o.repeat == 0) refuse("repeat must be >= 1, got 0", "leave it out to read the data once per epoch");
        if (o.samples_per_epoch != 0 && o.repeat != 1) refuse(message("samples_per_epoch and repeat both say how long an epoch is, got ", o.samples_per_epoch, " and ", o.repeat), "give one of them");
        if (o.samples_per_shard != 0 && !o.counts.empty()) refuse("samples_per_shard and counts both say how many samples a shard holds", "give one of them");
        if (o.samples_per_shard != 0) *this = with_counts(std::vector<std::uint64_t>(names_.size(), o.samples_per_shard));
        else if (!o.counts.empty()) *this = with_counts(o.counts);
    }

    shard_names const& names() const { return names_; }
    std::size_t shards() const { return names_.size(); }

    /// Whether the number of samples of each shard is known; count, first_id and samples are only to be asked then.
    bool counted() const { return first_ids_ != nullptr; }
    /// Samples in the shard, whatever part they belong to.
    std::uint64_t count(std::size_t shard) const { return (*first_ids_)[shard + 1] - (*first_ids_)[shard]; }
    std::uint64_t first_id(std::size_t shard) const { return (*first_ids_)[shard]; }

    /// Which samples this plan reads. Those are counted by samples, by chosen, for one shard, and by slots: how many lie before each shard, and in all.
    sample_choice const& choice() const { return choice_; }
    std::uint64_t samples() const { return slots_->back(); }
    std::uint64_t chosen(std::size_t shard) const { return (*slots_)[shard + 1] - (*slots_)[shard]; }
    std::shared_ptr<std::vector<std::uint64_t> const> const& slots() const { return slots_; }
    /// Where the samples that are read lie in the shard.
    chosen_samples chosen_of(std::size_t shard) const {
        return chosen_samples(choice_, choice_.which() == penstock::part::all ? 0 : sample_choice::key(names_[shard]), count(shard));
    }
    /// "all samples", or for example "the val part (hold_out 0.05)".
    std::string chosen_text() const { return text_of(choice_); }
    static std::string text_of(sample_choice const& c) {
        if (c.which() == penstock::part::all) return "all samples";
        return message("the ", c.which() == penstock::part::val ? "val" : "train", " part (hold_out ", static_cast<double>(c.held()) / static_cast<double>(sample_choice::whole), ')');
    }

    /// This plan with these numbers of samples, one per shard.
    shard_plan with_counts(std::span<std::uint64_t const> counts) const {
        if (counts.size() != shards()) refuse(message("counts must hold one number per shard (", shards(), "), got ", counts.size()), "count the shards that the pattern stands for");
        auto ids = std::make_shared<std::vector<std::uint64_t>>();
        ids->reserve(counts.size() + 1);
        std::uint64_t sum = 0;
        ids->push_back(0);
        for (auto n : counts) {
            if (n > (std::uint64_t{1} << 48) - sum) refuse("counts must not exceed 2^48 samples together", "look at the shard sizes");
            ids->push_back(sum += n);
        }
        auto plan = *this;
        plan.first_ids_ = plan.slots_ = ids;
        if (choice_.which() == penstock::part::all) return plan;
        auto slots = std::make_shared<std::vector<std::uint64_t>>(counts.size() + 1);
        for (std::size_t i = 0; i != counts.size(); ++i) (*slots)[i + 1] = (*slots)[i] + choice_.count(sample_choice::key(names_[i]), counts[i]);
        plan.slots_ = std::move(slots);
        return plan;
    }

    bool shuffled() const { return shuffled_; }
    shard_plan with_shuffled() const {
        auto plan = *this;
        plan.shuffled_ = true;
        return plan;
    }

    /// The rank this plan is read by; {0, 1} until split_by_rank says otherwise.
    world part() const { return world_.value_or(world{}); }
    shard_plan with_world(world w) const {
        if (world_)  // for the same rank too: whoever splits twice expects a share of a share, or has not seen the first one
            throw config_error(message("split_by_rank: the plan is split already for rank ", world_->rank, " of ", world_->size, ", got rank ", w.rank, " of ", w.size, "\n  HINT: split once; leave one of the two out"));
        auto plan = *this;
        plan.world_ = checked(w, "split_by_rank");
        return plan;
    }

    /// Whether an epoch is something else than one pass.
    bool has_window() const { return samples_per_epoch_ != 0 || repeat_ != 1; }
    /// Samples in an epoch, over all ranks.
    std::uint64_t epoch_samples() const {
        if (samples_per_epoch_ != 0) return samples_per_epoch_;
        if (samples() != 0 && repeat_ > (std::uint64_t{1} << 56) / samples()) refuse(message("repeat is too large, got ", repeat_), "epochs repeat anyway; repeat only joins several passes into one");
        return samples() * repeat_;
    }

    /// Names and counts of shards [0, n) as one number. The directories do not count: a data set may move.
    std::uint64_t fingerprint(std::size_t n) const { return fingerprints(std::span(&n, 1)).front(); }
    /// The same for several n in ascending order, at the cost of one.
    std::vector<std::uint64_t> fingerprints(std::span<std::size_t const> ns) const {
        std::vector<std::uint64_t> out;
        auto h = std::uint64_t{0xCBF29CE484222325};  // FNV-1a
        auto const mix = [&h](unsigned char c) { h = (h ^ c) * 0x100000001B3; };
        std::size_t i = 0;
        std::string name;
        for (auto n : ns) {
            for (; i < n; ++i) {
                name.clear();
                names_.append(name, i);
                for (auto c : std::string_view(name).substr(name.rfind('/') + 1)) mix(static_cast<unsigned char>(c));
                mix('\n');
                for (auto rest = count(i); rest != 0; rest >>= 8) mix(static_cast<unsigned char>(rest));
                mix('\n');
            }
            out.push_back(h);
        }
        return out;
    }

private:
    void choose(shard_list_options const& o) {
        if (o.part == penstock::part::all) {
            if (o.hold_out != 0) refuse(message("hold_out is ", o.hold_out, ", and part is all"), "say .part = part::train or part::val as well");
            return;
        }
        auto const held = o.hold_out > 0 && o.hold_out < 1 ? static_cast<std::uint64_t>(o.hold_out * static_cast<double>(sample_choice::whole) + 0.5) : 0;
        if (held == 0 || held == sample_choice::whole) refuse(message("hold_out must be > 0 and < 1, got ", o.hold_out), "it is the share of the samples that part::val has; 0.05 are 5 %");
        choice_ = sample_choice(o.part, held);
    }
    [[noreturn]] void refuse(std::string_view rule, std::string_view hint) const {
        throw config_error(message("shard_list(", names_.shown(), "): ", rule, "\n  HINT: ", hint));
    }

    shard_names names_;
    std::shared_ptr<std::vector<std::uint64_t> const> first_ids_, slots_;  // one vector where all samples are read
    sample_choice choice_;
    std::optional<world> world_;
    std::uint64_t samples_per_epoch_ = 0, repeat_ = 1;
    bool shuffled_ = false;
};

}  // namespace penstock
