// Implements: window, the micro-batches of one optimizer step, and the reader that gathers them.
#pragma once

#include <penstock/core/source.hpp>  // defines: resumable
#include <penstock/core/state.hpp>   // defines: state

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace penstock::train {

/// The micro-batches of one optimizer step on this rank, and where the pipeline stood after the last of them.
template <class Batch>
struct window {
    std::vector<Batch> batches{};
    double weight = 0;
    std::uint64_t samples = 0;
    std::optional<state> after{};  ///< set when the reader was told to keep positions

    bool empty() const { return batches.empty(); }
};

/// Gathers up to `accumulate` batches per call; fewer, or none, at the end of the epoch.
template <class Data>
class window_reader {
public:
    using batch_type = typename Data::item_type;

    window_reader(Data& data, int accumulate, bool keep_positions)
        : data_(&data), accumulate_(static_cast<std::size_t>(accumulate)), keep_positions_(keep_positions) {}

    window<batch_type> next() {
        window<batch_type> w;
        while (w.batches.size() != accumulate_) {
            auto b = data_->next();
            if (!b) break;
            w.weight += b->weight();
            w.samples += b->size();
            w.batches.push_back(std::move(*b));
        }
        if constexpr (resumable<Data>)
            if (keep_positions_) w.after = data_->save();
        return w;
    }

private:
    Data* data_;
    std::size_t accumulate_;
    bool keep_positions_;
};

}  // namespace penstock::train
