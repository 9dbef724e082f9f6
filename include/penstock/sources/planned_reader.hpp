// Implements: planned_reader<Format>, the source that a counted plan and a shard format make: every read_...() over shards is one.
#pragma once

#include <penstock/core/keyed.hpp>    // defines: keyed, cover
#include <penstock/core/ledger.hpp>   // defines: still_to_deliver
#include <penstock/core/random.hpp>   // defines: mix64
#include <penstock/core/source.hpp>   // defines: size_hint, epoch, state_writer, state_reader
#include <penstock/core/stats.hpp>    // defines: stats_report
#include <penstock/sources/line.hpp>  // defines: line, line_run, cut, total, shard_plan
#include <penstock/sources/plan_identity.hpp>  // defines: plan_identity
#include <penstock/sources/shard_format.hpp>  // defines: shard_format, lost_samples, stopper

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
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
        if (this->plan().samples() == 0)
            throw config_error(message(Format::stage, ": a data set needs at least one sample, but ", this->plan().shards(), " shards hold none: ", this->plan().names().shown(),
                                       "\n  HINT: look at how the shards were written"));
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
            item.emplace(item_type{plan().first_id(run_.shard) + run_.sample, run_.pass, std::move(covers), std::move(key), 1, std::move(*value)});
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
        epoch_ = e.index;
        close();
        lost_ = {};
        assign(e);
    }

    size_hint hint() const {
        auto n = total(std::span(left_).subspan(head_));
        return {n, n};
    }
    std::optional<std::uint64_t> world_max() const { return most_; }
    /// The fewest samples any rank yields in this epoch: one less than world_max, or as many.
    std::optional<std::uint64_t> world_min() const { return least_; }

    /// What was lost after the last item of the epoch.
    cover trailing() { return std::exchange(lost_, {}); }

    void save(state_writer& w) const {
        auto r = w.stage(Format::stage, 1);
        identity_.save(r, plan());
        r.put("key", key_).put("epoch_index", epoch_).put("recut", recut_).put("left", total(std::span(left_).subspan(head_)));
        std::vector<interval> lost;
        lost_.each([&](interval i) { lost.push_back(i); });
        r.put("lost", lost.size());
        for (std::size_t i = 0; i != lost.size(); ++i) put(r, "lost", i, lost[i]);
    }
    void load(state_reader& reader) {
        auto const r = reader.stage(Format::stage, 1);
        identity_.check(r, plan(), Format::stage);
        close();
        key_ = r.get("key");
        if (r.get("recut") == 0) {
            epoch_ = r.get("epoch_index");
            assign(epoch{});
        } else if (r.get("recut") != recut_ || r.get("epoch_index") != epoch_)
            throw state_error(message("load: ", Format::stage, ": the state was saved while a divided epoch was finished, without the ledger that says what was left of it",
                                      "\n  HINT: load(state, ledger) with the ledger that reset(epoch, ledger) was given"));
        auto const left = r.get("left"), mine = total(left_);
        if (left > mine) throw state_error(message("load: ", Format::stage, ": ", left, " samples are left, but the share of this rank is ", mine, "\n  HINT: the state is damaged; use an older checkpoint"));
        head_ = 0;
        for (auto gone = mine - left; gone != 0;) {
            auto const n = (std::min)(gone, left_[head_].size());
            gone -= n;
            if ((left_[head_].begin += n) == left_[head_].end) ++head_;
        }
        lost_ = {};
        for (std::size_t i = 0, n = r.get("lost"); i != n; ++i) lost_.add(get(r, "lost", i));
    }

    void attach(std::stop_token token) {
        close();  // what an earlier token cancelled is opened again
        stop_ = std::make_unique<detail::stopper<shard_type>>(std::move(token));
    }
    void stats(stats_report& r) const {
        r.push_back({.name = Format::stage, .items = items_, .bytes = bytes_, .errors = errors_, .inputs = 0});
    }

    shard_plan const& plan() const { return line_.plan(); }

private:
    /// This rank's share of what is left of the epoch over all ranks: all of it, if nothing was used before.
    void assign(epoch const& e) {
        auto const window = line_.window(epoch_);
        auto const segments = still_to_deliver(e, window);
        recut_ = e.used ? 1 : 0;
        if (e.used)
            for (auto const s : segments) recut_ = mix64(mix64(recut_ + s.begin) + s.end) | 1;
        auto const all = total(segments), ranks = std::uint64_t{plan().part().size};
        left_ = cut(segments, plan().part());
        head_ = 0;
        least_ = all / ranks;
        most_ = least_ + (all % ranks != 0);
    }

    std::uint64_t position() const { return left_[head_].begin; }

    /// One sample: `take` pulls it from the open shard, and then the line moves on.
    template <class F>
    void step(F take) {
        if (!shard_) locate();
        try {
            if (!shard_) enter();
            take();
        } catch (...) {
            if (stop_ && stop_->stopped()) throw;
            ++errors_;
            auto const lost = shard_ && shard_->index() == run_.sample + 1 ? 1 : run_.length;
            auto const at = position();
            auto const gone = run_;
            lost_.add({at, at + lost});
            pass(lost);
            rethrow(gone, lost);
        }
        pass(1);
    }

    void locate() {
        run_ = line_.find(key_, position());
        to_end_ = run_.length <= left_[head_].size();
        if (!to_end_) run_.length = left_[head_].size();
    }
    /// Opens the shard of run_ at its first sample.
    void enter() {
        if (stop_ && stop_->stopped()) throw stage_error(Format::stage, fault::io, {}, "stopped", "the run was asked to end");
        auto shard = format_.open(plan().names()[run_.shard], plan().count(run_.shard));
        if (stop_) stop_->watch(shard);
        shard_ = std::move(shard);
        if (shard_->skip(run_.sample) != run_.sample) throw short_shard();
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
        return stage_error(Format::stage, fault::content, {}, message("index_mismatch: the plan says ", plan().count(run_.shard), " samples, the shard ends after ", shard_->index()), mismatch_hint);
    }
    void check_end() {
        if (run_.length == 1 && to_end_ && shard_->discard())
            throw stage_error(Format::stage, fault::content, {}, message("index_mismatch: the plan says ", plan().count(run_.shard), " samples, the shard has more"), mismatch_hint);
    }
    static constexpr char const* mismatch_hint = "the shard changed after it was counted, or the counts are wrong: count again";

    /// Throws what is being handled once more, as the error of this reader, with what it cost.
    [[noreturn]] void rethrow(line_run const& run, std::uint64_t lost) const {
        auto const first = plan().first_id(run.shard) + run.sample;
        auto kind = fault::io;
        auto where = place{};
        auto cause = std::string{}, hint = std::string{};
        try {
            throw;
        } catch (stage_error const& e) {
            kind = e.kind;
            where = e.where;
            cause = e.what();
            if (auto const before = std::string(stage_error(e.stage, e.kind, e.where, "").what()); cause.starts_with(before)) cause.erase(0, before.size());
            if (auto const at = cause.find("\n  HINT: "); at != cause.npos) {
                hint = cause.substr(at + 9);
                cause.resize(at);
            }
        } catch (std::exception const& e) {
            cause = e.what();
            hint = "look at the shard";
        }
        if (where.shard.empty()) where.shard = plan().names()[run.shard];
        where.sample = first;
        cause += lost == 1 ? message("; 1 sample is lost") : message("; ", lost, " samples are lost, ids ", first, " to ", first + lost - 1);
        std::throw_with_nested(lost_samples(Format::stage, kind, std::move(where), cause, hint, lost));
    }

    static std::string name(std::string_view what, std::size_t k) { return std::string(what) + std::to_string(k); }
    static void put(state_writer::record& r, std::string_view what, std::size_t k, interval i) {
        r.put(name(what, k) + "b", i.begin).put(name(what, k) + "e", i.end);
    }
    static interval get(state_reader::record const& r, std::string_view what, std::size_t k) {
        interval const i{r.get(name(what, k) + "b"), r.get(name(what, k) + "e")};
        if (i.begin >= i.end) throw state_error(message("load: ", Format::stage, ": the positions ", i.begin, " to ", i.end, " make no sense\n  HINT: the state is damaged; use an older checkpoint"));
        return i;
    }

    line line_;
    Format format_;
    std::uint64_t key_ = 0, epoch_ = 0;
    std::uint64_t recut_ = 0;     // hash of what was left when others had used a part of the epoch; 0: it is whole
    std::vector<interval> left_;  // positions this rank still has to deliver: from left_[head_] on
    std::size_t head_ = 0;
    std::uint64_t most_ = 0, least_ = 0;  // of the epoch, over all ranks
    cover lost_;                  // positions passed without an item since the last one

    std::shared_ptr<shard_type> shard_;  // holds run_, at run_.sample; empty between runs
    line_run run_;                       // what is left of the shard for this rank
    bool to_end_ = false;                // whether run_ reaches the shard's end

    std::unique_ptr<detail::stopper<shard_type>> stop_;
    detail::plan_identity identity_;
    std::uint64_t items_ = 0, bytes_ = 0, errors_ = 0;
};

}  // namespace penstock
