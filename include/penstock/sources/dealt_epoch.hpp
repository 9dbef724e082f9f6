// Implements: dealt_epoch, what is left of an epoch, dealt over the ranks one by one.
#pragma once

#include <penstock/core/world.hpp>             // defines: world
#include <penstock/sources/rest_of_epoch.hpp>  // defines: rest_of_epoch, total, interval

#include <cstddef>
#include <cstdint>

namespace penstock::detail {

/// Rank r of W has the r-th, (r + W)-th, ... position of what is left. Line has window(index), the positions of an epoch.
class dealt_epoch {
public:
    explicit dealt_epoch(world w) : world_(w) {}

    template <class Line>
    void begin(Line const& l, epoch const& e) {
        rest_.begin(l, e, e.index);
        start();
    }
    std::uint64_t index() const { return rest_.index(); }

    bool ended() const { return at_ >= all_; }
    std::uint64_t position() const { return rest_.segments()[segment_].begin + (at_ - before_); }
    void pass() { seek(at_ + world_.size); }

    /// Positions that this rank still has; that a rank had at the start; that all of them had.
    std::uint64_t left() const { return from(at_); }
    std::uint64_t share(std::uint32_t rank) const { return from(rank); }
    std::uint64_t all() const { return all_; }

    void save(state_writer::record& r) const {
        rest_.save(r);
        r.put("at", at_ - world_.rank);
    }
    template <class Line>
    void load(state_reader::record const& r, Line const& l, char const* who) {
        rest_.load(r, l, who);
        start();
        auto const at = r.get("at"), ranks = std::uint64_t{world_.size};
        if (at % ranks != 0 || at / ranks > left())
            throw state_error(message("load: ", who, ": it stands at ", at, " of ", all_, " on ", ranks, " ranks\n  HINT: the state is damaged; use an older checkpoint"));
        seek(world_.rank + at);
    }

private:
    void start() {
        all_ = total(rest_.segments());
        segment_ = 0;
        before_ = 0;
        seek(world_.rank);
    }
    void seek(std::uint64_t at) {  // never back
        at_ = at;
        auto const& all = rest_.segments();
        for (; segment_ != all.size() && at_ - before_ >= all[segment_].size(); ++segment_) before_ += all[segment_].size();
    }
    std::uint64_t from(std::uint64_t at) const { return at >= all_ ? 0 : (all_ - at - 1) / world_.size + 1; }

    world world_;
    rest_of_epoch rest_;
    std::uint64_t all_ = 0, at_ = 0;  // numbers in what is left, over all ranks
    std::size_t segment_ = 0;         // that holds at_
    std::uint64_t before_ = 0;        // positions in the segments before it
};

}  // namespace penstock::detail
