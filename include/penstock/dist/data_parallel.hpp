// Implements: data parallel training over c10d's Reducer: equal weights at the start, gradients averaged over the ranks during backward.
#pragma once

#include <penstock/core/errors.hpp>   // defines: config_error, message
#include <penstock/dist/context.hpp>  // defines: context

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace penstock::dist {

struct data_parallel_options {
    std::int64_t bucket_cap_bytes = 25 << 20;    ///< gradients are reduced in buckets of about this size; larger on fast links
    std::int64_t first_bucket_bytes = 1 << 20;   ///< the first one is smaller, so that communication starts early
    bool find_unused = false;                    ///< parts of the model may stay unused in a step: costs one walk over the graph per step
};

/// The trainable parameters of a module that have elements, each once. `named_parameters()` repeats those of a module that is registered twice.
struct trainable {
    std::vector<at::Tensor> params{};
    std::unordered_map<std::size_t, std::string> names{};
};

inline trainable collect(torch::nn::Module const& m) {
    trainable t;
    std::unordered_set<void*> seen;
    for (auto const& kv : m.named_parameters())
        if (kv.value().requires_grad() && kv.value().numel() != 0 && seen.insert(kv.value().unsafeGetTensorImpl()).second) {
            t.names.emplace(t.params.size(), kv.key());
            t.params.push_back(kv.value());
        }
    return t;
}

/// A loss whose gradient is zero for every parameter: what a rank without data runs in a synchronised backward. (A real batch times zero
/// would be NaN where the batch has an infinity.)
inline at::Tensor touch(std::vector<at::Tensor> const& params) {
    auto s = at::zeros({}, params.front().options());
    for (auto const& p : params) s = s + (p.flatten()[0] * 0).to(s.scalar_type());
    return s;
}

namespace detail {

/// The bits of a dense tensor, whatever its type: what is sent where numbers must not change and c10d lacks the type. Shares memory where it can.
inline at::Tensor bits_of(at::Tensor const& t) { return t.detach().resolve_conj().resolve_neg().contiguous().reshape({-1}).view(at::kByte); }
inline void set_bits(at::Tensor const& t, at::Tensor const& bits) { t.detach().copy_(bits.clone().view(t.scalar_type()).view(t.sizes())); }

inline void refuse_odd_tensors(torch::nn::Module const& m) {
    auto const check = [](char const* kind, auto const& list) {
        for (auto const& kv : list) {
            auto const& t = kv.value();
            if (!t.defined() || (t.layout() == at::kStrided && !t.is_quantized() && !t.is_nested() && !t.is_meta())) continue;
            throw config_error(message("data_parallel(ctx, model): ", kind, " '", kv.key(), "' must be a dense tensor with its own memory, got ",
                                       t.is_quantized() ? "a quantised one" : t.is_nested() ? "a nested one" : t.is_meta() ? "one on the meta device" : "a sparse one",
                                       "\n  HINT: keep it outside the module, or register its dense parts (indices and values; int_repr and scales)"));
        }
    };
    check("parameter", m.named_parameters());
    check("buffer", m.named_buffers());
}

template <class R, class... A>
std::shared_ptr<R> make_reducer(A... a) {
    using caps = std::vector<std::int64_t>;
    if constexpr (std::is_constructible_v<R, A..., bool, bool, caps, bool>) return std::make_shared<R>(a..., false, false, caps{}, true);  // LibTorch 2.15
    else if constexpr (std::is_constructible_v<R, A..., bool, bool, caps>) return std::make_shared<R>(a..., false, false, caps{});        // 2.11
    else return std::make_shared<R>(a..., false, false);
}

}  // namespace detail

/// Keeps one model per rank equal. A synchronised backward leaves in every gradient the sum over the ranks divided by the world's size:
/// for the gradient of (sum of all losses) / N, multiply this rank's loss sum by world / N.
///
/// Construct it after checkpoints are loaded (parameters must keep their identity) and before the optimizer. It broadcasts rank 0's parameters
/// and buffers, then fixes the gradient buckets by backwards of touch(): c10d would rebuild the buckets after the first real step, which changes
/// the order of sums for three ranks and more, and a resumed run would differ from the undisturbed one in its last bits.
///
/// From then on every gradient is a view into a bucket, and zero. Keep it so: zero gradients in place (at::_foreach_zero_); neither
/// optimizer.zero_grad() nor an undefined gradient will do.
///
/// In a world of 1 nothing is built and every call returns at once. All ranks make the same calls. Errors: config_error for a model without
/// trainable parameters; what c10d says where models differ between ranks.
///
///     dist::data_parallel ddp(ctx, *net);
///     for (m in window) {
///         ddp.begin(m.last);                             // not calling with true = accumulate without communication
///         auto loss = loss_sum(net, m) * (world / N);
///         ddp.arm(m.last, loss);
///         loss.backward();
///     }
class data_parallel {
public:
    data_parallel(context& ctx, torch::nn::Module const& m, data_parallel_options o = {}) : ctx_(&ctx), find_unused_(o.find_unused), trained_(collect(m)) {
        if (trained_.params.empty())
            throw config_error(message("data_parallel(ctx, model): the model must have a trainable parameter, got none\n  HINT: was every requires_grad turned off, or register_module forgotten?"));
        if (o.bucket_cap_bytes < 1 || o.first_bucket_bytes < 1)
            throw config_error(message("data_parallel(ctx, model): bucket sizes must be >= 1 byte, got ", o.bucket_cap_bytes, " and ", o.first_bucket_bytes, "\n  HINT: the default is 25 MiB, the first 1 MiB"));
        if (ctx.world_size() == 1) return;
        detail::refuse_odd_tensors(m);
        auto const& group = ctx.group();
        named("connects the model", [&] {
            c10d::verify_params_across_processes(group, trained_.params, {});
            std::vector<at::Tensor> all, bits;
            std::unordered_set<void*> seen;
            auto add = [&](at::Tensor const& t) {
                if (!t.defined() || t.numel() == 0 || !seen.insert(t.unsafeGetTensorImpl()).second) return;
                all.push_back(t);
                bits.push_back(detail::bits_of(t));
            };
            for (auto const& p : m.parameters()) add(p);  // frozen ones too
            for (auto const& b : m.buffers()) add(b);
            c10d::broadcast_coalesced(group, bits, 250u << 20, 0);
            torch::NoGradGuard off;
            for (std::size_t i = 0; i != all.size(); ++i)
                if (bits[i].const_data_ptr() != all[i].const_data_ptr()) detail::set_bits(all[i], bits[i]);
        });
        auto const dense = std::vector<bool>(trained_.params.size(), false);
        std::vector<std::size_t> limits{static_cast<std::size_t>(o.first_bucket_bytes), static_cast<std::size_t>(o.bucket_cap_bytes)};
        if (!find_unused_) limits = {(std::numeric_limits<std::size_t>::max)()};
        auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(trained_.params, limits, dense));
        std::reverse(buckets.begin(), buckets.end());
        reducer_ = detail::make_reducer<c10d::Reducer>(trained_.params, buckets, group, dense, o.bucket_cap_bytes, find_unused_, /*views*/ true, trained_.names, o.first_bucket_bytes);
        logger_ = std::make_shared<c10d::Logger>(reducer_);  // never without: the Reducer dereferences it when unused parameters change
        reducer_->set_logger(logger_);
        logger_->set_construction_data_and_log(m.name(), {}, -1, !m.buffers().empty(), false, false);
        named("fixes the gradient buckets", [&] { fix_buckets(); });
    }
    data_parallel(data_parallel const&) = delete;
    data_parallel& operator=(data_parallel const&) = delete;
    ~data_parallel() { reset(); }

    /// Before the forward of a micro-batch; `sync` is true for the last one of the window only.
    void begin(bool sync) {
        if (!reducer_) return;
        if (sync) {
            logger_->set_runtime_stats_and_log();
            reducer_->prepare_for_forward();
        }
        reducer_->rebuild_buckets();
    }

    /// After the forward, before `loss.backward()`. From here to the next phase() this rank may wait for the others.
    void arm(bool sync, at::Tensor const& loss) {
        if (!reducer_ || !sync) return;
        ctx_->collective_phase("computes gradients");
        reducer_->prepare_for_backward(find_unused_ ? std::vector<at::Tensor>{loss} : std::vector<at::Tensor>{});
    }

    at::Tensor touch() const { return dist::touch(trained_.params); }
    std::vector<at::Tensor> const& params() const noexcept { return trained_.params; }
    trainable const& parameters() const noexcept { return trained_; }

    /// After a synchronised backward that threw on every rank: makes the next one possible. Zero the gradients and redo the step.
    void recover() {
        if (reducer_) reducer_->reset_state();
    }

    /// c10d's measurements, empty in a world of 1; see torch/csrc/distributed/c10d/logger.hpp.
    std::shared_ptr<c10d::Logger> const& logger() const noexcept { return logger_; }

    /// Takes the Reducer down; the destructor does it too. Before the optimizer, the model and the context.
    void reset() noexcept {
        logger_.reset();
        try {
            reducer_.reset();  // its destructor may throw
        } catch (std::exception const&) {
        }
    }

private:
    template <class F>
    void named(char const* phase, F&& f) {
        ctx_->collective_phase(phase);
        try {
            f();
        } catch (std::exception const& e) {
            if (!is_peer_failure(e)) throw;
            throw peer_error(ctx_->explain(detail::plain_what(e)));
        }
        ctx_->phase("prepares");
    }

    void fix_buckets() {
        // c10d warns, once, of find_unused in a step that uses everything, as the one below does: who asked for it knows what it costs.
        struct without_that : c10::WarningHandler {
            void process(c10::Warning const& w) override {
                if (w.msg().find("did not find any unused parameters") == std::string::npos) c10::WarningHandler::process(w);
            }
        } handler;
        c10::WarningUtils::WarningHandlerGuard guard(&handler);
        // The first backward lets c10d rebuild its buckets (not with find_unused), the next one makes every gradient a view into them. Both matter
        // to the bit: a gradient that is no view yet is multiplied by 1/world instead of divided by it.
        for (int pass = 0; pass < (find_unused_ ? 1 : 2); ++pass) {
            begin(true);
            auto const zero = touch();
            reducer_->prepare_for_backward(find_unused_ ? std::vector<at::Tensor>{zero} : std::vector<at::Tensor>{});
            zero.backward();
            reducer_->rebuild_buckets();  // a collective, effective once
        }
    }

    context* ctx_;
    bool find_unused_;
    trainable trained_;
    std::shared_ptr<c10d::Reducer> reducer_;
    std::shared_ptr<c10d::Logger> logger_;
};

/// The ranks' buffers (running statistics) as one set: floating-point and complex ones averaged over the ranks, all others bit by bit as on rank 0,
/// by name. Copies: the module's own buffers stay as they are. For validation and for the saved model; an average of variances is the usual approximation.
inline std::vector<std::pair<std::string, at::Tensor>> mean_buffers(context& ctx, torch::nn::Module const& m) {
    torch::NoGradGuard off;
    std::vector<std::pair<std::string, at::Tensor>> out;
    for (auto const& kv : m.named_buffers())
        if (kv.value().defined()) out.emplace_back(kv.key(), kv.value().detach().clone());
    if (ctx.world_size() == 1) return out;
    auto const reals = [](at::Tensor const& t) { return t.is_complex() ? at::view_as_real(t) : t; };
    auto const averaged = [](at::Tensor const& t) { return t.is_floating_point() || t.is_complex(); };
    std::vector<at::Tensor> numbers{at::empty({0}, at::kDouble)}, bits{at::empty({0}, at::kByte)};  // flat: two collectives, whatever the number of buffers
    for (auto const& [name, copy] : out)
        if (averaged(copy)) numbers.push_back(reals(copy).flatten().to(at::kCPU, at::kDouble));
        else bits.push_back(detail::bits_of(copy).to(at::kCPU));
    auto all_numbers = at::cat(numbers), all_bits = at::cat(bits);
    if (all_numbers.numel() != 0) ctx.all_reduce(all_numbers);
    if (all_bits.numel() != 0) ctx.broadcast(all_bits, 0);
    all_numbers.div_(ctx.world_size());
    std::int64_t number = 0, bit = 0;
    for (auto& [name, copy] : out) {
        if (averaged(copy)) {
            auto const target = reals(copy);
            target.copy_(all_numbers.narrow(0, number, target.numel()).view(target.sizes()));
            number += target.numel();
        } else {
            auto const size = static_cast<std::int64_t>(copy.nbytes());
            detail::set_bits(copy, all_bits.narrow(0, bit, size));
            bit += size;
        }
    }
    return out;
}

/// Puts `values` (of mean_buffers) into the module's buffers, and the rank's own back when it goes out of scope.
class [[nodiscard]] buffers_for_now {
public:
    buffers_for_now(torch::nn::Module& m, std::vector<std::pair<std::string, at::Tensor>> const& values) {
        torch::NoGradGuard off;
        auto const own = m.named_buffers();
        for (auto const& [name, value] : values) {
            auto target = own[name];
            kept_.emplace_back(target, target.detach().clone());
            target.copy_(value);
        }
    }
    buffers_for_now(buffers_for_now const&) = delete;
    buffers_for_now& operator=(buffers_for_now const&) = delete;
    ~buffers_for_now() {
        torch::NoGradGuard off;
        for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) kept->first.copy_(kept->second);  // of a buffer with two names the first copy is its own value
    }

private:
    std::vector<std::pair<at::Tensor, at::Tensor>> kept_;
};

}  // namespace penstock::dist
