// Implements: gradient_watch, which parameters the backwards of a window reached.
#pragma once

#include <penstock/train/named.hpp>  // defines: tensors

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace penstock::train {

/// Hooks on parameters, for as long as it lives. A gradient of zeros does not tell whether its parameter was used; the hooks do.
/// Threads: the hooks run inside backward(), everything else before or after it.
class gradient_watch {
public:
    explicit gradient_watch(tensors params) : params_(std::move(params)), seen_(std::make_shared<record>()) {
        auto const n = static_cast<std::int64_t>(params_.size());
        seen_->window = at::zeros({n}, at::kByte);
        seen_->last = at::zeros({n}, at::kByte);
        for (std::int64_t i = 0; i != n; ++i)
            hooks_.push_back(params_[static_cast<std::size_t>(i)].register_hook([seen = seen_, i](at::Tensor const& gradient) {
                seen->last.mutable_data_ptr<std::uint8_t>()[i] = 1;
                if (gradient.defined()) seen->window.mutable_data_ptr<std::uint8_t>()[i] = 1;
            }));
    }
    gradient_watch(gradient_watch const&) = delete;
    ~gradient_watch() {
        for (std::size_t i = 0; i != hooks_.size(); ++i) params_[i].remove_hook(hooks_[i]);
    }

    void begin_window() { seen_->window.zero_(); }
    void begin_backward() { seen_->last.zero_(); }

    /// Indices of the parameters that no backward since begin_backward() came to.
    std::vector<std::size_t> missed() const { return zeros_of(seen_->last); }
    /// One byte per parameter: 1 where a gradient arrived since begin_window().
    at::Tensor& window() { return seen_->window; }

    static std::vector<std::size_t> zeros_of(at::Tensor const& flags) {
        std::vector<std::size_t> out;
        auto const* f = flags.data_ptr<std::uint8_t>();
        for (std::size_t i = 0; i != static_cast<std::size_t>(flags.numel()); ++i)
            if (f[i] == 0) out.push_back(i);
        return out;
    }

private:
    struct record {
        at::Tensor window, last;
    };
    tensors params_;
    std::shared_ptr<record> seen_;
    std::vector<unsigned> hooks_;
};

}  // namespace penstock::train
