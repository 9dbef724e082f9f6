// Implements: fit_position, where a run of fit stands between two optimizer steps.
#pragma once

#include <penstock/core/ledger.hpp>  // defines: ledger
#include <penstock/core/state.hpp>   // defines: state
#include <penstock/train/feedback.hpp>  // defines: feedback_position

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>

namespace penstock::train {

/// Counters are those of all ranks together and equal on all of them.
struct fit_position {
    std::uint64_t epoch = 0;            ///< epochs done
    std::uint64_t step = 0;             ///< steps done: applied, skipped, or without weight on any rank
    std::uint64_t epoch_step = 0;       ///< of this epoch
    std::uint64_t applied = 0;          ///< steps that changed the weights: what the schedule counts
    std::uint64_t skipped = 0;          ///< steps that were not applied because a loss or a gradient was not finite
    std::uint64_t samples = 0;
    std::optional<state> inside{};      ///< this rank's pipeline after the last step; at an epoch's edge only that of one that goes on over it
    ledger used{};                      ///< positions of this epoch that this rank used since the epoch began, or since `base`
    ledger base{};                      ///< of all ranks: what worlds of other sizes used of this epoch before
    std::uint64_t taken_over = 0;       ///< 1 + epoch_step at which this world took the epoch over from another one; 0: it began it
    at::Tensor loss{};                  ///< this rank's losses since the last log line, 0-dim double; undefined: none
    double weight = 0;                  ///< global weight since the last log line
    double epoch_loss = 0, epoch_weight = 0;  ///< losses and weight of this epoch up to the last log line, over all ranks
    bool parts_due = false;             ///< the epoch is over, and the parts' on_epoch has not been called for it
    feedback_position feedback{};

    std::uint64_t weightless() const { return step - applied - skipped; }
};

}  // namespace penstock::train
