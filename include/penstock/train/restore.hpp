// Implements: restore(saved, live, what), which copies tensors by name into a running model or optimizer.
#pragma once

#include <penstock/core/errors.hpp>  // defines: state_error, message
#include <penstock/train/named.hpp>  // defines: named_tensors

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <string_view>
#include <unordered_map>

namespace penstock::train {

/// Copies every saved tensor into the live one of that name, in place and without gradients: addresses, devices and strides stay.
/// Nothing is changed unless everything fits: names, shapes and types are compared first.
///
/// Errors: state_error that names the first difference.
inline void restore(named_tensors const& saved, named_tensors const& live, std::string_view what) {
    auto refuse = [what](std::string const& name, auto const&... rule) {
        throw state_error(message(what, ": '", name, "': ", rule..., "\n  HINT: the checkpoint is of another ", what, "; pass the one it was saved from, or start afresh"));
    };
    std::unordered_map<std::string_view, at::Tensor> by_name;
    for (auto const& [name, t] : saved) by_name.emplace(name, t);
    for (auto const& [name, t] : live) {
        auto const found = by_name.find(name);
        if (found == by_name.end()) refuse(name, "is not in the checkpoint");
        auto const& s = found->second;
        if (s.sizes() != t.sizes()) refuse(name, "shape must be ", t.sizes(), ", got ", s.sizes());
        if (s.scalar_type() != t.scalar_type()) refuse(name, "type must be ", t.scalar_type(), ", got ", s.scalar_type());
    }
    if (by_name.size() != live.size()) {
        std::unordered_map<std::string_view, bool> known;
        for (auto const& [name, t] : live) known[name] = true;
        for (auto const& [name, t] : saved)
            if (!known.contains(name)) refuse(name, "is in the checkpoint and nowhere else");
    }
    at::NoGradGuard off;
    for (auto const& [name, t] : live) at::Tensor(t).copy_(by_name.at(name));
}

}  // namespace penstock::train
