// Implements: planned_reader<Format>, the source that a counted plan and a shard format make: every read_...() over shards is one.
#pragma once

#include <penstock/core/keyed.hpp>    // defines: keyed, cover
#include <penstock/core/source.hpp>   // defines: size_hint, epoch, state_writer, state_reader
#include <penstock/core/stats.hpp>    // defines: stats_report
#include <penstock/sources/describe_plan.hpp>  // defines: describe_epoch
#include <penstock/sources/line.hpp>  // defines: line, line_run, cut, total, shard_plan
#include <penstock/sources/lost_run.hpp>       // defines: rethrow_lost, put_cover, get_cover
#include <penstock/sources/plan_identity.hpp>  // defines: plan_identity
#include <penstock/sources/rest_of_epoch.hpp>  // defines: rest_of_epoch
#include <penstock/sources/shard_format.hpp>  // defines: shard_format, lost_samples, stopper

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// Reads this rank's part of each epoch, shard after shard; the next shard is opened when its first sample is asked for.
///
/// What an error does. A fault of one sample loses that sample. Anything else that fails (a shard that cannot be opened or read, damage,
/// fewer or more samples than planned) loses what this rank still had to read of that shard. Lost positions are passed, not read again:
/// the error counts and names them, their cover joins the next item, and the next call goes on behind them. A shard with more samples
/// than planned is noticed by the rank that reads its end, and costs it the last one. A stop that was asked for loses nothing.
template <shard_format Format>
class [[nodiscard]] planned_reader {
    using shard_type = std::remove_cvref_t<decltype(*std::declval<Format&>().open(std::declval<std::string const&>(), 0))>;

public:
    using item_type = keyed<typename Format::value_type>;
    using watched_items = void;  // a sample costs more than looking at the clock now and then

    planned_reader(shard_plan plan, Format format) : line_(std::move(plan)), format_(std::move(format)) {
        detail::refuse_no_samples(this->plan(), Format::stage);
        reset(epoch{});
    }

    std::optional<item_type> next() {
        if (head_ == left_.size()) return std::nullopt;
        auto item = std::optional<item_type>{};
        step([&] {
            auto value = shard_->next();
            if (!value) throw short_shard();
            check_end();
            auto key = std::string(format_.key(*value));
            bytes_ += format_.bytes(*value);
            auto covers = std::exchange(lost_, {});
            covers.add(cover::at(position()));
            item.emplace(item_type{plan().first_id(run_.shard) + number_, run_.pass, std::move(covers), std::move(key), 1, std::move(*value)});
        });
        ++items_;
        return item;
    }
    /// Advances over the next sample by its headers; one that only fails when it is made passes silently.
    bool discard() {
        if (head_ == left_.size()) return false;
        step([&] {
            if (!shard_->discard()) throw short_shard();
            check_end();
            lost_ = {};
        });
        ++items_;
        return true;
    }

    void reset(epoch e) {
        key_ = e.line;
        close();
        lost_ = {};
        rest_.begin(line_, e, e.index);
        share();
    }

    size_hint hint() const {
        auto n = total(std::span(left_).subspan(head_));
        return {n, n};
    }
    chain_facts facts() const { return share_of(total(rest_.segments()), plan().part()); }

    /// What was lost after the last item of the epoch.
    cover trailing() { return std::exchange(lost_, {}); }

    void save(state_writer& w) const {
        auto r = w.stage(Format::stage, 1);
        identity_.save(r, plan());
        rest_.save(r);
        r.put("key", key_).put("left", total(std::span(left_).subspan(head_)));
        detail::put_cover(r, lost_);
    }
    void load(state_reader& reader) {
        auto const r = reader.stage(Format::stage, 1);
        identity_.check(r, plan(), Format::stage);
        close();
        key_ = r.get("key");
        rest_.load(r, line_, Format::stage);
        share();
        auto const left = r.get("left"), mine = total(left_);
        if (left > mine) throw state_error(message("load: ", Format::stage, ": ", left, " samples are left, but the share of this rank is ", mine, "\n  HINT: the state is damaged; use an older checkpoint"));
        for (auto gone = mine - left; gone != 0;) {
            auto const n = (std::min)(gone, left_[head_].size());
            gone -= n;
            if ((left_[head_].begin += n) == left_[head_].end) ++head_;
        }
        lost_ = detail::get_cover(r, Format::stage);
    }

    void attach(std::stop_token token) {
        close();  // what an earlier token cancelled is opened again
        stop_ = std::make_unique<detail::stopper<shard_type>>(std::move(token));
    }
    void stats(stats_report& r) const {
        r.push_back({.name = Format::stage, .note = detail::note_of(format_), .items = items_, .bytes = bytes_, .errors = errors_, .left_out_parts = detail::left_out_parts_of(format_), .inputs = 0});
    }

    shard_plan const& plan() const { return line_.plan(); }
    /// What each rank reads in this epoch; see describe_plan(pipeline).
    std::string describe_plan(std::size_t most_ranks) const { return detail::describe_epoch(line_, key_, rest_.index(), rest_.segments(), most_ranks); }

private:
    /// This rank's share of what is left of the epoch over all ranks.
    void share() {
        left_ = cut(rest_.segments(), plan().part());
        head_ = 0;
    }

    std::uint64_t position() const { return left_[head_].begin; }

    /// One sample: `take` pulls it from the open shard, and then the line moves on.
    template <class F>
    void step(F take) {
        if (!shard_) locate();
        number_ = chosen_.at(run_.sample);
        try {
            if (!shard_) enter();
            // what lies before it is another rank's, or of another part of the data set
            if (auto const before = number_ - shard_->index(); before != 0 && shard_->skip(before) != before) throw short_shard();
            take();
        } catch (...) {
            if (stop_ && stop_->stopped()) throw;
            ++errors_;
            auto const lost = shard_ && shard_->index() == number_ + 1 ? 1 : run_.length;
            auto const first = plan().first_id(run_.shard);
            auto gone = detail::lost_run{plan().names()[run_.shard], first + number_, first + chosen_.at(run_.sample + lost - 1), lost};
            auto const at = position();
            lost_.add({at, at + lost});
            pass(lost);
            detail::rethrow_lost(Format::stage, std::move(gone));
        }
        pass(1);
    }

    void locate() {
        run_ = line_.find(key_, position());
        run_.length = (std::min)(run_.length, left_[head_].size());
        chosen_ = plan().chosen_of(run_.shard);
    }
    /// Opens the shard of run_.
    void enter() {
        if (stop_ && stop_->stopped()) throw stage_error(Format::stage, fault::io, {}, "stopped", "the run was asked to end");
        auto shard = format_.open(plan().names()[run_.shard], plan().count(run_.shard));
        if (stop_) stop_->watch(shard);
        shard_ = std::move(shard);
    }
    void close() {
        if (stop_) stop_->watch(nullptr);
        shard_.reset();
    }
    /// The line moves on by n samples, at most to the end of the run.
    void pass(std::uint64_t n) {
        run_.sample += n;
        run_.length -= n;
        if ((left_[head_].begin += n) == left_[head_].end) ++head_;
        if (run_.length == 0) close();
    }

    stage_error short_shard() const {
        return stage_error(Format::stage, fault::content, {}, message("index_mismatch: the plan says ", number_of(plan().count(run_.shard), "sample"), ", the shard ends after ", shard_->index()), mismatch_hint);
    }
    void check_end() {
        if (number_ + 1 == plan().count(run_.shard) && shard_->discard())
            throw stage_error(Format::stage, fault::content, {}, message("index_mismatch: the plan says ", number_of(plan().count(run_.shard), "sample"), ", the shard has more"), mismatch_hint);
    }
    static constexpr char const* mismatch_hint = "the shard changed after it was counted, or the counts are wrong: count again";

    line line_;
    Format format_;
    std::uint64_t key_ = 0;
    detail::rest_of_epoch rest_;  // over all ranks
    std::vector<interval> left_;  // positions this rank still has to deliver: from left_[head_] on
    std::size_t head_ = 0;
    cover lost_;                  // positions passed without an item since the last one

    std::shared_ptr<shard_type> shard_;  // holds run_; empty between runs
    line_run run_;                       // what is left of the shard for this rank
    chosen_samples chosen_;              // where the samples of run_ lie in the shard
    std::uint64_t number_ = 0;           // of the sample that is being read, in the shard

    std::unique_ptr<detail::stopper<shard_type>> stop_;
    detail::plan_identity identity_;
    std::uint64_t items_ = 0, bytes_ = 0, errors_ = 0;
};

}  // namespace penstock
