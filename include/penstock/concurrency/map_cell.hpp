// Implements: detail::map_cell, one pull of parallel_map: what came, and what f made of it.
#pragma once

#include <penstock/core/blame.hpp>  // defines: blame
#include <penstock/core/keyed.hpp>  // defines: is_keyed, rewrap

#include <exception>
#include <optional>
#include <utility>

namespace penstock::detail {

template <class In, class Out>
struct map_cell {
    std::optional<In> in;
    std::optional<Out> out;
    std::exception_ptr error;
    bool counted = false;  // among those that are held
    bool passed = false;   // delivered before the load that brought it back

    template <class F>
    void make(F const& f) noexcept {
        if (!in) return;
        try {
            if constexpr (is_keyed<In>) {
                decltype(auto) result = blame("parallel_map", *in, [&]() -> decltype(auto) { return f(std::move(in->value)); });
                out.emplace(rewrap(std::move(*in), std::forward<decltype(result)>(result)));
            } else out.emplace(f(std::move(*in)));
        } catch (...) {
            error = std::current_exception();
        }
        in.reset();
    }
};

}  // namespace penstock::detail
