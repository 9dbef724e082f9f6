// Implements: the control packet, what the ranks tell each other once per optimizer step.
#pragma once

#include <penstock/dist/context.hpp>    // defines: context, work_ptr
#include <penstock/dist/exact_sum.hpp>  // defines: to_digits, from_digits

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace penstock::dist {

/// What this rank says about a step.
struct packet {
    double weight = 0;                     ///< of this rank's window; the sum is exact and the same on every rank (dist/exact_sum.hpp)
    std::int64_t samples = 0;              ///< in this rank's window
    bool has_data = false;                 ///< it has at least one batch
    bool want_stop = false;                ///< a signal, a limit, or the user asks to stop after this step
    bool want_save = false;                ///< a checkpoint is due after this step
    bool nonfinite = false;                ///< it met an infinity or NaN
    bool failed = false;                   ///< it ran out of memory, or cannot do this step
    std::array<std::int64_t, 4> control{}; ///< free slots, summed
};

/// The sums over all ranks: every rank gets the same, so every decision taken from it is the same.
struct packet_sum {
    double weight = 0;
    std::int64_t samples = 0;
    std::int64_t has_data = 0;   ///< ranks that have data, and so on: counts of ranks
    std::int64_t want_stop = 0;
    std::int64_t want_save = 0;
    std::int64_t nonfinite = 0;
    std::int64_t failed = 0;
    std::array<std::int64_t, 4> control{};
    std::int64_t ranks = 0;      ///< the world's size
};

/// A packet under way. wait() once; the context must outlive it.
class [[nodiscard]] packet_handle {
public:
    packet_handle(context& ctx, at::Tensor slots, work_ptr work) : ctx_(&ctx), slots_(std::move(slots)), work_(std::move(work)) {}

    /// The sums. A rank that does not send its packet within step_timeout is named in the peer_error.
    packet_sum wait() {
        if (work_) ctx_->finish(std::exchange(work_, {}), "the control packet");
        auto const* s = slots_.data_ptr<std::int64_t>();
        return {.weight = from_digits({s[0], s[1], s[2], s[3]}), .samples = s[4], .has_data = s[5], .want_stop = s[6], .want_save = s[7],
                .nonfinite = s[8], .failed = s[9], .control = {s[10], s[11], s[12], s[13]}, .ranks = s[14]};
    }

private:
    context* ctx_;
    at::Tensor slots_;  // Gloo writes into it until the work is complete
    work_ptr work_;
};

/// Sends this rank's packet: one int64 SUM all-reduce on the CPU group. Start it early (for step k+1 while step k computes) and wait late.
///
///     auto sent = dist::start(ctx, {.weight = 64, .samples = 64, .has_data = true});
///     auto sum = sent.wait();    // sum.weight is the global weight N
inline packet_handle start(context& ctx, packet const& p) {
    auto const d = to_digits(p.weight);
    std::array<std::int64_t, 15> const slots{d[0], d[1], d[2], d[3], p.samples, p.has_data, p.want_stop, p.want_save, p.nonfinite, p.failed,
                                             p.control[0], p.control[1], p.control[2], p.control[3], 1};
    auto t = at::empty({static_cast<std::int64_t>(slots.size())}, at::kLong);
    std::copy(slots.begin(), slots.end(), t.mutable_data_ptr<std::int64_t>());
    if (ctx.world_size() == 1) return {ctx, std::move(t), {}};
    std::vector<at::Tensor> list{t};
    auto work = ctx.start([&] { return ctx.group()->allreduce(list, {}); });
    return {ctx, std::move(t), std::move(work)};
}

}  // namespace penstock::dist
