// Implements: indexed_reader<Format>, the source that a counted plan and a format with random access make: any sample by its number.
#pragma once

#include <penstock/core/keyed.hpp>    // defines: keyed, cover
#include <penstock/core/random.hpp>   // defines: child_key
#include <penstock/core/source.hpp>   // defines: size_hint, epoch, state_writer, state_reader
#include <penstock/core/stats.hpp>    // defines: stats_report
#include <penstock/sources/dealt_epoch.hpp>    // defines: dealt_epoch
#include <penstock/sources/describe_plan.hpp>  // defines: heading_of_plan, lines_of_ranks, counted
#include <penstock/sources/line.hpp>           // defines: line, total, shard_plan
#include <penstock/sources/lost_run.hpp>       // defines: rethrow_lost, put_cover, get_cover
#include <penstock/sources/permutation.hpp>    // defines: permutation
#include <penstock/sources/plan_identity.hpp>  // defines: plan_identity
#include <penstock/sources/shard_format.hpp>   // defines: lost_samples, stopper

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace penstock {

/// An opened shard whose samples are read in any order. A call that fails costs its sample alone, and the next one is as good as any.
template <class S, class V>
concept random_shard = requires(S& s, std::uint64_t i) {
    { s.read(i) } -> std::same_as<V>;
    s.check(i);              ///< fails where read would, as far as it can tell without reading payloads
    { s.cancel() } noexcept;  ///< from any thread: a read that waits fails, and so does every later one
};

/// What makes an indexed_reader of a format; as shard_format, but the shard is a random_shard.
template <class F>
concept random_format = std::move_constructible<F> && requires(F& f, typename F::value_type const& v, std::string const& path, std::uint64_t samples) {
    { F::stage } -> std::convertible_to<char const*>;
    { *f.open(path, samples) } -> random_shard<typename F::value_type>;
    { f.key(v) } -> std::convertible_to<std::string>;
    { f.bytes(v) } -> std::convertible_to<std::uint64_t>;
};

/// Deals the samples of an epoch over the ranks one by one: rank r of W has the r-th, (r + W)-th, ... of what is left of it. A pass is the
/// samples of the plan in the order of a permutation of that pass, or in the order of the line. An error costs one sample: its position is
/// passed, its cover joins the next item. The shards that were used last stay open.
template <random_format Format>
class [[nodiscard]] indexed_reader {
    using shard_type = std::remove_cvref_t<decltype(*std::declval<Format&>().open(std::declval<std::string const&>(), 0))>;

public:
    using item_type = keyed<typename Format::value_type>;
    using watched_items = void;  // a sample costs more than looking at the clock now and then

    indexed_reader(shard_plan plan, Format format, bool shuffle, std::size_t open_shards)
        : line_(std::move(plan)), deal_(this->plan().part()), format_(std::move(format)), shuffle_(shuffle), most_open_(open_shards), order_(1, 0, 0) {
        detail::refuse_no_samples(this->plan(), Format::stage);
        reset(epoch{});
    }

    std::optional<item_type> next() {
        if (deal_.ended()) return std::nullopt;
        auto item = std::optional<item_type>{};
        step([&](shard_type& shard, place_of_sample const& at) {
            auto value = shard.read(at.number);
            auto key = std::string(format_.key(value));
            bytes_ += format_.bytes(value);
            auto covers = std::exchange(lost_, {});
            covers.add(cover::at(deal_.position()));
            item.emplace(item_type{plan().first_id(at.shard) + at.number, at.pass, std::move(covers), std::move(key), 1, std::move(value)});
        });
        return item;
    }
    bool discard() {
        if (deal_.ended()) return false;
        step([&](shard_type& shard, place_of_sample const& at) {
            shard.check(at.number);
            lost_ = {};
        });
        return true;
    }

    void reset(epoch e) {
        key_ = e.line;
        lost_ = {};
        ordered_.reset();
        deal_.begin(line_, e);
    }

    size_hint hint() const {
        auto const n = deal_.left();
        return {n, n};
    }
    chain_facts facts() const { return share_of(deal_.all(), plan().part()); }

    /// What was lost after the last item of the epoch.
    cover trailing() { return std::exchange(lost_, {}); }

    void save(state_writer& w) const {
        auto r = w.stage(Format::stage, 1);
        identity_.save(r, plan());
        deal_.save(r);
        r.put("key", key_).identify("shuffle", shuffle_);
        detail::put_cover(r, lost_);
    }
    void load(state_reader& reader) {
        auto const r = reader.stage(Format::stage, 1);
        identity_.check(r, plan(), Format::stage);
        if (r.get("shuffle") != shuffle_)
            throw state_error(message("load: ", Format::stage, ": the state was saved with shuffle ", r.get("shuffle"), ", this one has ", shuffle_, "\n  HINT: build it as in the run that saved it"));
        key_ = r.get("key");
        ordered_.reset();
        deal_.load(r, line_, Format::stage);
        lost_ = detail::get_cover(r, Format::stage);
    }

    void attach(std::stop_token token) {
        if (stop_) stop_->watch(nullptr);
        watched_ = nullptr;
        open_.clear();  // what an earlier token cancelled is opened again
        stop_ = std::make_unique<detail::stopper<shard_type>>(std::move(token));
    }
    void stats(stats_report& r) const {
        r.push_back({.name = Format::stage, .note = detail::note_of(format_), .items = items_, .bytes = bytes_, .errors = errors_, .inputs = 0});
    }

    shard_plan const& plan() const { return line_.plan(); }
    std::string describe_plan(std::size_t most_ranks) const {
        auto const ranks = plan().part().size;
        return detail::heading_of_plan(plan(), deal_.index(), deal_.all()) + detail::lines_of_ranks(ranks, most_ranks, [&](std::uint32_t r) {
                   auto const n = deal_.share(r);
                   if (n == 0) return std::string("no sample");
                   auto text = detail::counted(n, "sample") + ", ";
                   text += n == 1 ? message("number ", r) : message("numbers ", r, ", ", r + ranks, n > 2 ? ", ..." : "");
                   return text + (shuffle_ ? " of an order over all shards" : " in the order of the shards");
               });
    }

private:
    struct place_of_sample {
        std::uint64_t pass = 0;
        std::size_t shard = 0;
        std::uint64_t number = 0;  // in the shard
    };
    struct opened {
        std::shared_ptr<shard_type> shard;
        std::uint64_t used = 0;
    };

    template <class F>
    void step(F take) {
        auto const at = locate();
        try {
            take(*shard_of(at.shard), at);
        } catch (...) {
            if (stop_ && stop_->stopped()) throw;
            ++errors_;
            close(open_.find(at.shard));  // a file that changed or was replaced is looked at anew
            auto const id = plan().first_id(at.shard) + at.number;
            lost_.add(cover::at(deal_.position()));
            deal_.pass();
            detail::rethrow_lost(Format::stage, {plan().names()[at.shard], id, id, 1});
        }
        ++items_;
        deal_.pass();
    }

    place_of_sample locate() {
        auto const n = plan().samples();
        auto const pass = deal_.position() / n, slot = deal_.position() % n;
        if (!shuffle_) {
            auto const run = line_.find(key_, deal_.position());
            return {pass, run.shard, number_of(run.shard, run.sample)};
        }
        if (ordered_ != pass) {
            order_ = permutation(n, child_key(key_, "indexed"), pass);
            ordered_ = pass;
        }
        auto const i = order_(slot);
        auto const& slots = *plan().slots();
        auto const shard = static_cast<std::size_t>(std::upper_bound(slots.begin(), slots.end(), i) - slots.begin()) - 1;
        return {pass, shard, number_of(shard, i - slots[shard])};
    }
    std::uint64_t number_of(std::size_t shard, std::uint64_t k) const { return plan().choice().which() == part::all ? k : plan().chosen_of(shard).at(k); }

    void close(typename std::unordered_map<std::size_t, opened>::iterator shard) {
        if (shard == open_.end()) return;
        if (shard->second.shard.get() == watched_) watched_ = nullptr;  // the next one may lie at the same address
        open_.erase(shard);
    }
    std::shared_ptr<shard_type> const& shard_of(std::size_t number) {
        if (stop_ && stop_->stopped()) throw stage_error(Format::stage, fault::io, {}, "stopped", "the run was asked to end");
        auto found = open_.find(number);
        if (found == open_.end()) {
            if (open_.size() >= most_open_) close(std::min_element(open_.begin(), open_.end(), [](auto const& a, auto const& b) { return a.second.used < b.second.used; }));
            found = open_.emplace(number, opened{format_.open(plan().names()[number], plan().count(number)), 0}).first;
        }
        found->second.used = ++uses_;
        if (stop_ && watched_ != found->second.shard.get()) {
            watched_ = found->second.shard.get();
            stop_->watch(found->second.shard);
        }
        return found->second.shard;
    }

    line line_;
    detail::dealt_epoch deal_;
    Format format_;
    bool shuffle_;
    std::size_t most_open_;
    std::uint64_t key_ = 0;
    cover lost_;                                // positions passed without an item since the last one

    permutation order_;                         // of pass ordered_
    std::optional<std::uint64_t> ordered_;

    std::unordered_map<std::size_t, opened> open_;
    std::uint64_t uses_ = 0;
    shard_type const* watched_ = nullptr;

    std::unique_ptr<detail::stopper<shard_type>> stop_;
    detail::plan_identity identity_;
    std::uint64_t items_ = 0, bytes_ = 0, errors_ = 0;
};

}  // namespace penstock
