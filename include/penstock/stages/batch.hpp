// Implements: batch(n), n items at a time in contiguous storage; the same number of batches on every rank.
#pragma once

#include <penstock/core/batch_type.hpp>    // defines: batch_of, keyed
#include <penstock/core/gather.hpp>        // defines: gather, can_copy
#include <penstock/core/holding.hpp>     // defines: holding, tally, stage_of, value_of, size_hint, config_error

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

/// What becomes of an epoch's last items when they are fewer than a batch.
enum class remainder {
    keep,  ///< a short batch; where a rank has none left, an empty one
    drop,  ///< they are not delivered; their positions go to trailing()
    pad,   ///< filled up with copies of the last item, of weight 0 and id `padding`
};

struct batch_options {
    penstock::remainder remainder = penstock::remainder::keep;
};

/// Between calls `now_` holds the items of a batch that an exception interrupted; after the end, those that are dropped until trailing() takes their positions.
template <class S>
class [[nodiscard]] batch_stage : public holding<batch_stage<S>, S> {
    using input = typename S::item_type;
    using element = value_of<input>;
    static constexpr std::uint64_t least_every = 256, most_every = 4096;  // pulls between snapshots; with pad a batch is never without a held item
    static constexpr bool copies = can_copy<element>;
    static constexpr bool plain = std::is_same_v<input, element> && !std::is_same_v<element, bool> && std::is_trivially_copyable_v<element> && std::is_trivially_default_constructible_v<element>;

public:
    static constexpr auto name = "batch";
    static constexpr int layout = 3;
    using item_type = batch_of<element>;
    batch_stage(S before, std::uint64_t n, batch_options o = {}) : batch_stage::holding(std::move(before), name, o.remainder == remainder::pad ? (std::clamp)(n, least_every, most_every) : most_every, o.remainder != remainder::pad), n_(n), remainder_(o.remainder) {
        if (!copies && remainder_ == remainder::pad)
            throw config_error(message("batch(", n, ", {.remainder = remainder::pad}): padding copies items, which these cannot be, got pad\n  HINT: keep the short batch, or drop it"));
    }

    std::optional<item_type> next() {
        if (!std::exchange(asked_, true)) number_ = batches_of_epoch();
        auto const number = number_;
        if (number && emitted_ >= *number) {
            if (remainder_ == remainder::drop) drain();
            else end();
            return std::nullopt;
        }
        if (!this->replay_.ended()) fill(number && emitted_ + 1 == *number);
        if (now_.size() != n_) {
            if (remainder_ == remainder::drop) return short_of(number);
            if (now_.empty() && !number) return std::nullopt;
        }
        if (this->replay_.ended() && (!number || emitted_ + 1 == *number)) now_.cover.add(this->replay_.trailing(this->up));  // not earlier: what is pulled again after a load would give it again
        ++emitted_;
        first_ = this->replay_.pulls();
        if constexpr (copies)
            if (remainder_ == remainder::pad) return padded(number && emitted_ < *number);
        this->replay_.release(first_);
        return taken();
    }
    size_hint hint() const {
        if (auto const number = batches_of_epoch()) {
            auto const left = *number - (std::min)(emitted_, *number);
            return {left, left};
        }
        auto h = hint_of(this->up).plus(now_.size());
        h.lower = batches(h.lower);
        if (h.upper) h.upper = batches(*h.upper);
        return h;
    }
    chain_facts facts() const {
        auto said = facts_of(this->up);
        auto const number = batches_of(said);
        said.counted = said.counted && (number || !said.world_max);  // with drop the most items alone tell nothing, now or later
        said.world_max = said.world_min = number;
        return said;
    }
    /// What was dropped: here with drop, and before this stage behind the last item when that one filled its batch.
    penstock::cover trailing() {
        penstock::cover all;
        if (this->replay_.ended() && remainder_ == remainder::drop) {
            all = std::exchange(now_, {}).cover;
            first_ = this->replay_.pulls();
            this->replay_.release(first_);
        }
        all.add(this->replay_.trailing(this->up));
        return all;
    }
    tally held() const {
        tally all{now_.size() + filler_.has_value(), 0};
        for (auto const id : now_.ids) all.hash += tally::mark(id);
        if constexpr (is_batch<input>)
            for (auto const& one : now_.items) all.hash += tally::mark_of(one);
        if (filler_) all.hash += filler_mark_;
        return all;
    }
    void clear() {
        now_ = {};
        filler_.reset();
        emitted_ = first_ = newest_ = filler_at_ = 0;
        asked_ = false;
    }
    static void position(auto& self, auto& p) {
        p.same("n", self.n_);
        p.same("remainder", self.remainder_);
        p("emitted", self.emitted_);
        p("first", self.first_);
        p.now("filler", self.filler_ ? self.filler_at_ : self.first_, self.filler_at_);
    }
    void loaded() {
        auto const filler = filler_at_;
        reserve();
        this->replay_.repeat(this->up, [=, this](std::uint64_t i) { return i >= first_ || i == filler; }, [this](std::uint64_t i, input&& item) {
            if (i < first_) return keep_filler(item);
            detail::gather(now_, std::move(item));
            newest_ = i;
        });
        this->replay_.release((std::min)(filler, first_));
    }

private:
    std::uint64_t batches(std::uint64_t items) const { return items / n_ + (remainder_ != remainder::drop && items % n_ != 0); }
    /// The same on every rank, if it is known. With drop the smallest rank says how many batches are full everywhere.
    std::optional<std::uint64_t> batches_of(chain_facts const& said) const {
        auto const items = remainder_ == remainder::drop ? said.world_min : said.world_max;
        return items ? std::optional(batches(*items)) : std::nullopt;
    }
    std::optional<std::uint64_t> batches_of_epoch() const { return batches_of(facts_of(this->up)); }
    /// How many more of `room` items to make room for. A batch larger than the data must not ask for memory it never fills.
    std::uint64_t reserved(std::uint64_t room) const {
        if (auto const left = hint_of(this->up).upper) return (std::clamp)(*left, std::uint64_t{1}, room);
        return (std::min)(room, std::uint64_t{65536});
    }
    void reserve() {
        auto const most = now_.size() + reserved(n_ - now_.size());
        now_.items.reserve(static_cast<std::size_t>(most));
        if constexpr (is_keyed<input>) {
            now_.ids.reserve(static_cast<std::size_t>(most));
            now_.weights.reserve(static_cast<std::size_t>(most));
        }
    }
    void fill(bool last) {
        if (auto room = n_ - now_.size(); room != 0) {  // items of a batch that an exception interrupted are still here
            if constexpr (plain) fill_plain(room);
            else {
                reserve();
                auto at = this->replay_.pulls();  // an exception ends the run, so its items have consecutive numbers
                auto g = [&](input&& item) {
                    detail::gather(now_, std::move(item));
                    newest_ = at++;
                };
                (void)this->replay_.pull_n(this->up, room, g);
            }
        }
        if (last && remainder_ != remainder::drop) end();
    }
    /// Nothing comes behind the last batch. That is asked: only then the stages before have met their end, and told all positions.
    void end() {
        penstock::cover more;
        std::uint64_t items = 0;
        for (; !this->replay_.ended(); ++items)
            if (auto const item = this->replay_.pull(this->up)) {
                if constexpr (is_keyed<input> || is_batch<input>) more.add(item->cover);
            } else break;
        if (items == 0) return;
        auto error = stage_error("batch", fault::content, {}, message("the stages before it promised at most ", *facts_of(this->up).world_max, " items on any rank, and yielded more"),
                                 "its counts are wrong: for shards, write the index again");
        error.lost = items;
        error.positions = std::move(more);
        throw error;
    }
    /// Items that are bytes alone are written where they belong: an append asks for room, and keeps three cursors in memory, for every item.
    void fill_plain(std::uint64_t room) {
        auto& items = now_.items;
        while (room != 0 && !this->replay_.ended()) {
            auto const before = items.size(), at = static_cast<std::size_t>(this->replay_.pulls());
            items.resize(before + static_cast<std::size_t>(reserved(room)));
            auto *const first = items.data() + before, *to = first;
            struct cut {  // to what came, however it ends
                batch_stage& self;
                element*& to;
                std::size_t before, at;
                ~cut() {
                    auto const all = static_cast<std::size_t>(to - self.now_.items.data());
                    self.now_.items.resize(all);
                    if (all != before) self.newest_ = at + (all - before) - 1;
                }
            } const on_exit{*this, to, before, at};
            auto g = [&](input&& item) { *to++ = item; };
            (void)this->replay_.pull_n(this->up, items.size() - before, g);
            room -= static_cast<std::uint64_t>(to - first);
        }
    }
    /// With drop, the items beyond the last batch of the epoch: pulled for their positions.
    void drain() {
        if (this->replay_.ended()) return;
        auto g = [&](input&& item) { detail::gather(now_, std::move(item)); };
        (void)this->replay_.pull_n(this->up, ~std::uint64_t{0}, g);
    }
    /// With drop, the stream ended inside a batch: that is the end of the epoch, unless a full one was promised.
    std::optional<item_type> short_of(std::optional<std::uint64_t> number) {
        if (number) {
            emitted_ = *number;
            throw stage_error("batch", fault::content, {}, message("the stages before it promised at least ", *number * n_, " items on every rank, and yielded fewer"),
                              "items that are skipped after an error are missing: use remainder::pad, which keeps the number of batches");
        }
        return std::nullopt;
    }
    /// With pad. While there is a next batch, which may have no item of its own to repeat, the last one stays.
    item_type padded(bool more) {
        auto out = std::exchange(now_, {});
        auto const own = out.size();
        if (own != n_ && (own != 0 || filler_)) {
            auto copy = own != 0 ? element(out.items.back()) : element(*filler_);
            if constexpr (is_batch<element>) copy.cover = {};
            if (out.weights.empty()) out.weights.assign(own, 1.0);
            if constexpr (is_keyed<input>) out.ids.resize(static_cast<std::size_t>(n_), padding);
            out.weights.resize(static_cast<std::size_t>(n_), 0.0);
            out.items.resize(static_cast<std::size_t>(n_), copy);
        }
        if (!more) filler_.reset();
        else if (own != 0) {
            auto const last = static_cast<std::size_t>(own - 1);
            filler_.emplace(out.items[last]);
            filler_mark_ = out.ids.empty() ? tally::mark_of(out.items[last]) : tally::mark(out.ids[last]);
            filler_at_ = newest_;
        }
        this->replay_.release(filler_ ? filler_at_ : first_);
        return out;
    }
    /// What was gathered, in the place it is returned in: to move whole batches costs small ones as much as filling them.
    std::optional<item_type> taken() {
        std::optional<item_type> out(std::in_place);
        out->items.swap(now_.items);
        out->ids.swap(now_.ids);
        out->weights.swap(now_.weights);
        std::swap(out->pass, now_.pass);
        std::swap(out->cover, now_.cover);
        return out;
    }
    void keep_filler(input& item) {
        if constexpr (copies) {
            filler_.emplace(value(item));
            filler_mark_ = tally::mark_of(item);
        }
    }

    std::uint64_t n_;
    remainder remainder_;
    item_type now_;
    std::optional<element> filler_;  // with pad: the last item, while another batch follows
    std::uint64_t filler_mark_ = 0;
    std::uint64_t newest_ = 0, filler_at_ = 0;  // numbers of the pulls of the newest item, and of filler_
    std::uint64_t emitted_ = 0;
    std::optional<std::uint64_t> number_;  // of batches in this epoch, if `asked_`
    bool asked_ = false;
    std::uint64_t first_ = 0;  // number of the first pull of the batch that is being filled
};

/// Gathers n items into a batch; what becomes of a short last one `.remainder` says. Keyed items fill ids, weights and cover beside the values.
/// keep (the default) and pad: where the most items of any rank are known, every rank yields exactly that many batches. keep: the last ones short,
/// or empty with weight 0. pad: filled up to n with copies of its last item (an empty one with that of the batch before it; a rank without any item has empty ones),
/// of weight 0 and id `padding`; plain items then have weights as well. drop: as many batches as the smallest rank can fill, where the source knows
/// it; else each rank drops its own remainder, and world_max ends here. The positions of dropped items go to trailing().
///
/// Order    unchanged
/// Buffers  at most n items; those of a batch that an exception interrupted stay, and the next call goes on filling it
/// Resume   exact; after an exception inside a batch replay of at most 4096 + n items, with pad always of at most max(256, n) + n
/// Threads  none
/// Errors   forwards those of the stages before; stage_error if more items come than were promised, with drop if fewer; config_error if n < 1
///
///     range(5) | batch(2)    // [0 1] [2 3] [4]
inline auto batch(std::int64_t n, batch_options options = {}) {
    if (n < 1) throw config_error(message("batch(n): n must be >= 1, got ", n, "\n  HINT: batch(1) yields single items as batches"));
    return stage_of<batch_stage>("batch", static_cast<std::uint64_t>(n), options);
}

}  // namespace penstock
