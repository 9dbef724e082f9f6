// Implements: autocast, a scope in which LibTorch picks lower precision per operation.
#pragma once

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

namespace penstock::train {

/// Turns autocast on for `device` until the end of the scope and restores what was before; scopes nest.
///
/// Covers forward and loss; backward runs outside and repeats the recorded types. The switch belongs to the thread: a worker that runs part
/// of a model needs its own scope. Weights that were cast are kept until the outermost scope of the thread ends, so use one scope per micro-batch:
/// after an optimizer step the kept casts would be old.
class [[nodiscard]] autocast {
public:
    explicit autocast(at::DeviceType device, at::ScalarType type = at::kBFloat16, bool keep_casts = true)
        : device_(device), type_(at::autocast::get_autocast_dtype(device)), on_(at::autocast::is_autocast_enabled(device)),
          keep_(at::autocast::is_autocast_cache_enabled()) {
        at::autocast::set_autocast_enabled(device, true);
        at::autocast::set_autocast_dtype(device, type);
        at::autocast::set_autocast_cache_enabled(keep_casts);
        at::autocast::increment_nesting();
    }
    autocast(autocast const&) = delete;
    ~autocast() {
        if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
        at::autocast::set_autocast_enabled(device_, on_);
        at::autocast::set_autocast_dtype(device_, type_);
        at::autocast::set_autocast_cache_enabled(keep_);
    }

private:
    at::DeviceType device_;
    at::ScalarType type_;
    bool on_, keep_;
};

}  // namespace penstock::train
