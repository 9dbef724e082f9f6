// Implements: detail::map_cell, one pull of parallel_map: what came, and what f made of it.
#pragma once

#include <penstock/core/blame.hpp>  // defines: give
#include <penstock/core/keyed.hpp>  // defines: rewrap

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
            decltype(auto) result = give("parallel_map", *in, f);
            out.emplace(rewrap(std::move(*in), std::forward<decltype(result)>(result)));
        } catch (...) {
            error = std::current_exception();
        }
        in.reset();
    }
};

}  // namespace penstock::detail
