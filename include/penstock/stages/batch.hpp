// Implements: batch(n), n items at a time in contiguous storage; the same number of batches on every rank.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch, keyed
#include <penstock/core/replay.hpp>      // defines: replay, tally
#include <penstock/core/stage.hpp>       // defines: stage_of, stage_over, value_of, epoch, size_hint, config_error

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] batch_stage : public stage_over<S> {
    using input = typename S::item_type;

public:
    using item_type = batch_of<value_of<input>>;
    batch_stage(S before, std::uint64_t n) : stage_over<S>{std::move(before)}, n_(n), replay_("batch", 4096) {}

    std::optional<item_type> next() {
        auto const most = world_most();
        if (most && emitted_ >= batches(*most)) return std::nullopt;
        if (!ended_) fill(most && emitted_ + 1 == batches(*most));
        if (now_.empty() && !most) return std::nullopt;
        ++emitted_;
        first_ = replay_.pulls();
        replay_.release(first_);
        return std::exchange(now_, {});
    }
    void reset(epoch e)
        requires resettable<S>
    {
        this->up.reset(e);
        replay_.reset();
        clear();
    }
    size_hint hint() const
        requires hinted<S>
    {
        if (auto const most = world_most()) {
            auto const left = batches(*most) - (std::min)(emitted_, batches(*most));
            return {left, left};
        }
        auto h = this->up.hint();
        h.lower = batches(h.lower + now_.size());
        if (h.upper) h.upper = batches(*h.upper + now_.size());
        return h;
    }
    std::optional<std::uint64_t> world_max() const
        requires planned<S>
    {
        auto const most = world_most();
        return most ? batches(*most) : most;
    }
    /// What was dropped behind the last item when that one filled its batch.
    penstock::cover trailing() {
        auto all = std::exchange(now_.cover, {});
        all.add(penstock::trailing(this->up));
        return all;
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        tally held{now_.size(), 0};
        for (auto const id : now_.ids) held.hash += tally::mark(id);
        replay_.save(w, this->up, replay_.pulls(), held);
        w.stage("batch", 1).put("n", n_).put("emitted", emitted_).put("first", first_);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        clear();
        replay_.load(r, this->up);
        auto const record = r.stage("batch", 1);
        if (record.get("n") != n_)
            throw state_error(message("load: batch(", n_, ") was saved as batch(", record.get("n"), ")\n  HINT: build it with the n that was saved"));
        emitted_ = record.get("emitted");
        first_ = record.get("first");
        reserve();
        replay_.repeat(this->up, [this](std::uint64_t i) { return i >= first_; }, [this](std::uint64_t, input&& item) { put(std::move(item)); });
        replay_.release(first_);
    }

private:
    std::uint64_t batches(std::uint64_t items) const { return items / n_ + (items % n_ != 0); }
    std::optional<std::uint64_t> world_most() const {
        if constexpr (planned<S>) return this->up.world_max();
        else return std::nullopt;
    }
    void reserve() {
        auto most = (std::min)(n_, std::uint64_t{65536});  // a batch larger than the data must not ask for memory it never fills
        if constexpr (hinted<S>)
            if (auto const left = this->up.hint().upper) most = (std::min)(n_, now_.size() + *left);
        now_.items.reserve(static_cast<std::size_t>(most));
        if constexpr (is_keyed<input>) {
            now_.ids.reserve(static_cast<std::size_t>(most));
            now_.weights.reserve(static_cast<std::size_t>(most));
        }
    }
    void fill(bool last) {
        if (auto room = n_ - now_.size(); room != 0) {  // items of a batch that an exception interrupted are still here
            reserve();
            auto g = [&](input&& item) {
                put(std::move(item));
                return --room != 0;
            };
            ended_ = replay_.pull_while(this->up, g);
        }
        if (last && !ended_) {
            if (replay_.pull(this->up))
                throw stage_error("batch", fault::content, {}, message("the stages before it promised at most ", *world_most(), " items on any rank, and yielded more"),
                                  "the counts of the shards are wrong: write the index again");
            ended_ = true;
        }
        if (ended_) now_.cover.add(penstock::trailing(this->up));
    }
    void put(input&& item) {
        if constexpr (is_keyed<input>) {
            if (now_.empty()) now_.pass = item.pass;
            now_.items.push_back(std::move(item.value));
            now_.ids.push_back(item.id);
            now_.weights.push_back(item.weight);
            now_.cover.add(item.cover);
        } else now_.items.push_back(std::move(item));
    }
    void clear() {
        now_ = {};
        emitted_ = first_ = 0;
        ended_ = false;
    }

    std::uint64_t n_;
    replay<S> replay_;
    item_type now_;
    std::uint64_t emitted_ = 0;
    std::uint64_t first_ = 0;  // number of the first pull of the batch that is being filled
    bool ended_ = false;
};

/// Gathers n items into a batch; the last one of an epoch may be short. Keyed items fill ids, weights and cover beside the values.
/// Where the most items of any rank are known, every rank yields exactly that many batches: the last ones short, or empty with weight 0.
///
/// Order    unchanged
/// Buffers  at most n items; those of a batch that an exception interrupted stay, and the next call goes on filling it
/// Resume   exact; after an exception inside a batch, replay of at most 4096 + n items, of which only those of the batch are made
/// Threads  none
/// Errors   forwards those of the stages before; stage_error if more items come than were promised; config_error if n < 1
///
///     range(5) | batch(2)    // [0 1] [2 3] [4]
inline auto batch(std::int64_t n) {
    if (n < 1) throw config_error(message("batch(n): n must be >= 1, got ", n, "\n  HINT: batch(1) yields single items as batches"));
    return stage_of<batch_stage>("batch", static_cast<std::uint64_t>(n));
}

}  // namespace penstock
