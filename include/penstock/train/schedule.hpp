// Implements: learning-rate schedules, pure functions of the number of applied steps.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <cmath>
#include <concepts>
#include <functional>
#include <numbers>
#include <type_traits>
#include <utility>

namespace penstock::train {

/// A factor of the learning rate as a function of t, the number of steps applied so far (a skipped step does not advance it).
///
/// Order    a pure function: nothing to save, resume is exact, nobody can step it too often
/// Buffers  nothing
/// Resume   exact, no state
/// Threads  any number may call it at once
/// Errors   config_error for lengths < 0 and factors that are not finite, when built
///
///     schedule s = warmup(100) * cosine(10'000, 0.1);    // s(0) == 0.01, s(99) is about 1, s(10'000) == 0.1
class schedule {
public:
    schedule() : f_([](double) { return 1.0; }) {}
    template <class F>
        requires std::is_invocable_r_v<double, F const&, double> && (!std::same_as<std::remove_cvref_t<F>, schedule>)
    schedule(F f) : f_(std::move(f)) {}  // NOLINT: any callable is a schedule

    double operator()(double t) const { return f_(t); }

    /// The product, point by point: how a warm-up joins a decay.
    friend schedule operator*(schedule a, schedule b) {
        return {[a = std::move(a), b = std::move(b)](double t) { return a(t) * b(t); }};
    }

private:
    std::function<double(double)> f_;
};

namespace detail {
inline double steps_of(char const* what, double n) {
    if (!(n >= 0) || std::isinf(n)) throw config_error(message(what, ": the number of steps must be >= 0, got ", n, "\n  HINT: count optimizer steps, not samples"));
    return n;
}
inline double factor_of(char const* what, double f) {
    if (!std::isfinite(f) || f < 0)
        throw config_error(message(what, ": a factor must be finite and >= 0, got ", f, "\n  HINT: 1 is the optimizer's lr, 0 is no step"));
    return f;
}
inline double share(double t, double n) { return n == 0 ? 1.0 : std::clamp(t / n, 0.0, 1.0); }
}  // namespace detail

/// f
inline schedule constant(double f = 1.0) {
    return {[f = detail::factor_of("constant(f)", f)](double) { return f; }};
}

/// min(1, (t + 1) / n): the first step already moves, step n - 1 is the first at full rate; n = 0 is no warm-up.
inline schedule warmup(double n) {
    return {[n = detail::steps_of("warmup(n)", n)](double t) { return n == 0 ? 1.0 : (std::min)(1.0, (t + 1) / n); }};
}

/// floor + (1 - floor) * (1 + cos(pi * t / n)) / 2, then floor for ever (Loshchilov and Hutter 2017, without restarts).
inline schedule cosine(double n, double floor = 0.0) {
    return {[n = detail::steps_of("cosine(n, floor)", n), floor = detail::factor_of("cosine(n, floor)", floor)](double t) {
        return floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * detail::share(t, n)));
    }};
}

/// 1 - (1 - floor) * t / n, then floor for ever.
inline schedule linear(double n, double floor = 0.0) {
    return {[n = detail::steps_of("linear(n, floor)", n), floor = detail::factor_of("linear(n, floor)", floor)](double t) {
        return 1 - (1 - floor) * detail::share(t, n);
    }};
}

/// `first` for the first n steps, then `second` with its own count from 0: first(t) if t < n, else second(t - n).
inline schedule then(double n, schedule first, schedule second) {
    return {[n = detail::steps_of("then(n, first, second)", n), first = std::move(first), second = std::move(second)](double t) {
        return t < n ? first(t) : second(t - n);
    }};
}

/// Warm-up, stable, decay: min(1, (t + 1) / warm), 1, then 1 - (1 - floor) * sqrt(share of the last `decay` steps) until `total` (Haegele et al. 2024).
inline schedule wsd(double total, double warm, double decay, double floor = 0.0) {
    detail::steps_of("wsd(total, warm, decay, floor)", total);
    detail::steps_of("wsd(total, warm, decay, floor)", warm);
    detail::steps_of("wsd(total, warm, decay, floor)", decay);
    if (warm + decay > total)
        throw config_error(message("wsd(total, warm, decay, floor): warm + decay must be <= total, got ", warm, " + ", decay, " > ", total,
                                   "\n  HINT: usual are 1 % and 20 % of total"));
    return warmup(warm) * schedule{[from = total - decay, decay, floor = detail::factor_of("wsd(total, warm, decay, floor)", floor)](double t) {
        return t < from ? 1.0 : 1 - (1 - floor) * std::sqrt(detail::share(t - from, decay));
    }};
}

}  // namespace penstock::train
