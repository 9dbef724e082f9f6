// Implements: snapshots, the states of the stage before that a replay keeps: as many as what it holds may need, in storage that is used again.
#pragma once

#include <penstock/core/state.hpp>  // defines: state, state_record, state_writer

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace penstock {

class snapshots {
public:
    struct snapshot {
        std::uint64_t at = 0;  ///< number of the pull before which it was taken
        state where;
    };

    /// The writer of the next one, which is there once it is kept: a save that throws leaves nothing.
    state_writer begin() {
        fresh_.where.records.clear();
        return state_writer(fresh_.where, unused_);
    }
    /// Keeps what begin() wrote as taken before pull `at`, and drops what no pull from `oldest` on needs. The number of the first one that is left.
    std::uint64_t keep(std::uint64_t at, std::uint64_t oldest) {
        if (live_ != 0) {
            auto const dropped = static_cast<std::ptrdiff_t>(needed(oldest)), end = static_cast<std::ptrdiff_t>(live_);
            for (auto i = std::ptrdiff_t{0}; i != dropped; ++i) {  // they go behind, their records are written again
                auto& records = ring_[static_cast<std::size_t>(i)].where.records;
                std::move(records.begin(), records.end(), std::back_inserter(unused_));
                records.clear();
            }
            std::rotate(ring_.begin(), ring_.begin() + dropped, ring_.begin() + end);
            live_ -= static_cast<std::size_t>(dropped);
        }
        if (live_ == ring_.size()) ring_.emplace_back();
        fresh_.at = at;
        std::swap(ring_[live_++], fresh_);
        return ring_.front().at;
    }

    bool empty() const { return live_ == 0; }
    void clear() { live_ = 0; }
    /// The newest that is not younger than pull `oldest`; the first one never is. There must be one.
    snapshot const& newest_for(std::uint64_t oldest) const { return ring_[needed(oldest)]; }

private:
    std::size_t needed(std::uint64_t oldest) const {
        auto i = live_ - 1;
        while (i != 0 && ring_[i].at > oldest) --i;
        return i;
    }

    std::vector<snapshot> ring_;  // [0, live_) in order of `at`; behind them is storage
    std::size_t live_ = 0;
    snapshot fresh_;                    // being written
    std::vector<state_record> unused_;  // of dropped ones
};

}  // namespace penstock
