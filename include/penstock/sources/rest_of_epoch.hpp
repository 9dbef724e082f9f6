// Implements: rest_of_epoch, what is still to be read of an epoch of the line, over all ranks, and by which hash a saved position knows it again.
#pragma once

#include <penstock/core/ledger.hpp>   // defines: still_to_deliver
#include <penstock/core/random.hpp>   // defines: mix64
#include <penstock/core/state.hpp>    // defines: state_writer, state_reader, state_error
#include <penstock/sources/line.hpp>  // defines: total, interval

#include <cstdint>
#include <vector>

namespace penstock::detail {

/// The whole epoch, or what a ledger leaves of it. Line has window(index), the positions of an epoch.
class rest_of_epoch {
public:
    /// Epoch `index` of the line, less what others used of it.
    template <class Line>
    void begin(Line const& l, epoch const& e, std::uint64_t index) {
        index_ = index;
        segments_ = still_to_deliver(e, l.window(index));
        recut_ = e.used ? 1 : 0;
        if (e.used)
            for (auto const s : segments_) recut_ = mix64(mix64(recut_ + s.begin) + s.end) | 1;
    }
    std::vector<interval> const& segments() const { return segments_; }
    std::uint64_t index() const { return index_; }

    void save(state_writer::record& r) const { r.put("epoch_index", index_).put("recut", recut_); }
    /// Begins the epoch that was saved. A rest of an epoch must have begun already, with the ledger that it had.
    template <class Line>
    void load(state_reader::record const& r, Line const& l, char const* who) {
        if (r.get("recut") == 0) return begin(l, epoch{}, r.get("epoch_index"));
        if (r.get("recut") != recut_ || r.get("epoch_index") != index_)
            throw state_error(message("load: ", who, ": the state was saved while a divided epoch was finished, without the ledger that says what was left of it",
                                      "\n  HINT: load(state, ledger) with the ledger that reset(epoch, ledger) was given"));
    }

private:
    std::uint64_t index_ = 0, recut_ = 0;  // recut_: hash of what was left when others had used a part; 0: the epoch is whole
    std::vector<interval> segments_;       // positions
};

}  // namespace penstock::detail
