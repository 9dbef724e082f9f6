// Implements: discovering_reader<Format>, a planned_reader whose first epoch finds out how many samples the shards hold by reading them.
#pragma once

#include <penstock/core/ledger.hpp>             // defines: ledger
#include <penstock/core/recut.hpp>              // defines: refuse_recut
#include <penstock/sources/planned_reader.hpp>  // defines: planned_reader, shard_format, any_number_of_samples, line, lost_run, put_cover, get_cover, stopper

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Epoch 0 deals whole shards: of the order of pass 0 rank r of W reads shards r, r + W, ...; what it counts goes to `found`. Every other epoch is
/// that of a planned_reader over `count(plan)`, which is asked when such an epoch begins. If `known` holds a counted plan, epoch 0 is so too.
///
/// In epoch 0 ids and positions are made of the shard's number (in the list, in the order) times 2^32 and the sample's number in it; what a
/// damage in the middle of a shard costs beyond its sample, nobody can count.
template <shard_format Format>
    requires std::copy_constructible<Format>
class [[nodiscard]] discovering_reader {
    using shard_type = std::remove_cvref_t<decltype(*std::declval<Format&>().open(std::declval<std::string const&>(), 0))>;

public:
    using item_type = keyed<typename Format::value_type>;
    using watched_items = void;
    struct found_out {
        std::function<shard_plan(shard_plan const&)> count;                                    ///< the counts of all shards, by an index or a scan
        std::function<void(std::size_t shard)> begins = [](std::size_t) {};                    ///< a shard is about to be read
        std::function<void(std::size_t shard, std::uint64_t samples, bool last)> ends = [](std::size_t, std::uint64_t, bool) {};  ///< it was, to its end
    };

    discovering_reader(shard_plan plan, std::optional<shard_plan> known, Format format, found_out out)
        : turns_(plan.with_counts(std::vector<std::uint64_t>(plan.shards(), 1))), plan_(std::move(plan)), format_(std::move(format)), out_(std::move(out)), discovers_(!known) {
        if (known) exact_.emplace(std::move(*known), format_);
        reset(epoch{});
    }

    std::optional<item_type> next() {
        if (!first_) return exact_->next();
        auto item = std::optional<item_type>{};
        step([&] {
            auto value = shard_->next();
            if (!value) return false;
            auto key = std::string(format_.key(*value));
            bytes_ += format_.bytes(*value);
            auto covers = std::exchange(lost_, {});
            covers.add(cover::at(number(turn_)));
            item.emplace(item_type{number(shard_number_), 0, std::move(covers), std::move(key), 1, std::move(*value)});
            return true;
        });
        return item;
    }
    bool discard() {
        if (!first_) return exact_->discard();
        return step([&] {
            if (!shard_->discard()) return false;
            lost_ = {};
            return true;
        });
    }

    void reset(epoch e) {
        if (discovers_ && e.index == 0) {
            refuse_first(e);
            key_ = e.line;
            begin(plan_.part().rank, 0);
            return;
        }
        require_counts();
        refuse_turns(e);
        exact_->reset(e);
        end_first();
    }

    size_hint hint() const {
        if (!first_) return exact_->hint();
        if (turn_ >= plan_.shards()) return {0, 0};
        return {};
    }
    chain_facts facts() const {
        auto said = first_ ? share_of(0, plan_.part()) : exact_->facts();
        if (first_) said.world_max = said.world_min = std::nullopt;
        said.same_every_epoch = !discovers_;
        return said;
    }
    cover trailing() { return first_ ? std::exchange(lost_, {}) : exact_->trailing(); }

    /// What identifies the data is the same whatever is counted already, so that a run goes on over the first epoch's end.
    void save(state_writer& w) const {
        auto r = w.stage(Format::stage, 3);
        r.put("shards", plan_.shards()).identify("plan0", names_hash()).identify("shuffled", plan_.shuffled()).put("rank", plan_.part().rank).put("world", plan_.part().size).put("first", first_);
        if (first_) {
            r.put("key", key_).put("turn", turn_).put("sample", sample_);
            detail::put_cover(r, lost_);
            return;
        }
        auto counted = w.counted_branch("counted");
        exact_->save(counted);
    }
    void load(state_reader& reader) {
        auto const r = reader.stage(Format::stage, 3);
        auto const same = [&](char const* name, std::uint64_t here, char const* hint) {
            if (auto const saved = r.get(name); saved != here) throw state_error(message("load: ", Format::stage, ": the state was saved with ", name, ' ', saved, ", this plan has ", here, "\n  HINT: ", hint));
        };
        same("shards", plan_.shards(), "resume with the shards of the run that saved it");
        if (r.get("plan0") != names_hash()) throw state_error(message("load: ", Format::stage, ": the state was saved with other names of shards\n  HINT: resume with the shards of the run that saved it"));
        same("shuffled", plan_.shuffled(), "build the same chain as the one that was saved");
        same("world", plan_.part().size, "the first epoch of shards that nobody counted goes on with as many ranks as began it");
        same("rank", plan_.part().rank, "each rank loads its own state");
        if (r.get("first") != 0) {
            auto const turn = r.get("turn");
            if (turn % plan_.part().size != plan_.part().rank || turn >= plan_.shards() + plan_.part().size)
                throw state_error(message("load: ", Format::stage, ": turn ", turn, " is not one of rank ", plan_.part().rank, "\n  HINT: the state is damaged; use an older checkpoint"));
            discovers_ = true;  // the shards may have been counted meanwhile; this epoch ends as it began
            key_ = r.get("key");
            begin(turn, r.get("sample"));
            lost_ = detail::get_cover(r, Format::stage);
            return;
        }
        require_counts();
        auto counted = reader.branch("counted");
        exact_->load(counted);
        end_first();
    }

    void attach(std::stop_token token) {
        close();
        token_ = token;
        if (exact_) exact_->attach(token);
        stop_ = std::make_unique<detail::stopper<shard_type>>(std::move(token));
    }
    void stats(stats_report& r) const {
        auto own = stage_stats{.name = Format::stage, .note = detail::note_of(format_), .items = items_, .bytes = bytes_, .errors = errors_, .left_out_parts = detail::left_out_parts_of(format_), .inputs = 0};
        if (exact_) {
            stats_report later;
            exact_->stats(later);
            own.items += later.front().items;
            own.bytes += later.front().bytes;
            own.errors += later.front().errors;
        }
        r.push_back(std::move(own));
    }

    shard_plan const& plan() const { return first_ ? plan_ : exact_->plan(); }
    std::string describe_plan(std::size_t most_ranks) const {
        if (!first_) return exact_->describe_plan(most_ranks);
        auto const ranks = plan_.part().size;
        return message("epoch 0: ", detail::counted(plan_.shards(), "shard"), " on ", detail::counted(ranks, "rank"), ", of which nobody knows how many samples they hold\n") +
               detail::lines_of_ranks(ranks, most_ranks, [&](std::uint32_t r) {
                   auto const n = r < plan_.shards() ? (plan_.shards() - r - 1) / ranks + 1 : 0;
                   return n == 0 ? std::string("no shard") : detail::counted(n, "whole shard");
               });
    }

private:
    /// One sample of the shards of this rank; false at the end of the last one. `take` says whether the open shard had one.
    template <class F>
    bool step(F take) {
        for (; turn_ < plan_.shards(); next_shard()) {
            try {
                if (!shard_) enter();
                if (take()) {
                    ++sample_;
                    ++items_;
                    return true;
                }
                out_.ends(shard_number_, shard_->index(), turn_ + plan_.part().size >= plan_.shards());
            } catch (...) {
                if (stop_ && stop_->stopped()) throw;
                ++errors_;
                bool const one = shard_ && shard_->index() == sample_ + 1;
                auto gone = detail::lost_run{plan_.names()[shard_number_], number(shard_number_), number(shard_number_), one ? 1u : 0u};
                lost_.add(cover::at(number(turn_)));
                if (one) ++sample_;
                else next_shard();
                detail::rethrow_lost(Format::stage, std::move(gone));
            }
        }
        return false;
    }
    void enter() {
        shard_number_ = turns_.find(key_, turn_).shard;
        if (stop_ && stop_->stopped()) throw stage_error(Format::stage, fault::io, {}, "stopped", "the run was asked to end");
        out_.begins(shard_number_);
        auto shard = format_.open(plan_.names()[shard_number_], any_number_of_samples);
        if (stop_) stop_->watch(shard);
        shard_ = std::move(shard);
        if (auto const n = shard_->skip(sample_); n != sample_)
            throw stage_error(Format::stage, fault::content, {}, message("index_mismatch: ", number_of(sample_, "sample"), sample_ == 1 ? " was" : " were", " read of it before, the shard ends after ", n), "the shard changed since: restore it");
    }
    void next_shard() {
        close();
        turn_ += plan_.part().size;
        sample_ = 0;
    }
    void begin(std::uint64_t turn, std::uint64_t at) {
        close();
        first_ = true;
        turn_ = turn;
        sample_ = at;
        lost_ = {};
        if (turn_ < plan_.shards()) shard_number_ = turns_.find(key_, turn_).shard;
    }
    void end_first() {
        close();
        first_ = false;
    }
    void close() {
        if (stop_) stop_->watch(nullptr);
        shard_.reset();
    }
    static void refuse_first(epoch const& e) {
        refuse_recut(e, "the first epoch of shards that nobody counted", "finish it with resume::required and as many ranks as began it, or start a new run over counted shards",
                     "deals whole shards, and what was used of it means nothing to other ranks");
    }
    /// Where the counts came after a first epoch had begun without them, its ledger holds shard turns, which are no positions of the counted line.
    /// Those of turn 0 are: that shard stands first in both.
    void refuse_turns(epoch const& e) const {
        if (e.index == 0 && e.used && !e.used->used().empty() && e.used->used().runs().back().end > exact_->plan().epoch_samples()) refuse_first(e);
    }
    void require_counts() {
        if (exact_) return;
        exact_.emplace(out_.count(plan_), format_);
        if (token_) exact_->attach(*token_);
    }
    std::uint64_t number(std::uint64_t of) const { return (of << 32) + sample_; }
    std::uint64_t names_hash() const {
        if (!names_hash_) names_hash_ = turns_.plan().fingerprint(plan_.shards());
        return *names_hash_;
    }

    line turns_;  // of the shards, each as one sample
    shard_plan plan_;
    Format format_;
    found_out out_;
    bool discovers_;     // epoch 0 does
    bool first_ = false;  // this is it
    std::optional<planned_reader<Format>> exact_;
    mutable std::optional<std::uint64_t> names_hash_;

    std::uint64_t key_ = 0;
    std::uint64_t turn_ = 0;         // the shard being read, or the next one, in the order of epoch 0
    std::uint64_t sample_ = 0;       // passed in it
    std::size_t shard_number_ = 0;   // in list order
    cover lost_;
    std::shared_ptr<shard_type> shard_;
    std::optional<std::stop_token> token_;
    std::unique_ptr<detail::stopper<shard_type>> stop_;
    std::uint64_t items_ = 0, bytes_ = 0, errors_ = 0;
};

}  // namespace penstock
