// Implements: doubles in integer slots, so that a SUM all-reduce of int64 adds them exactly. std only.
#pragma once

#include <penstock/core/errors.hpp>  // defines: error, message

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace penstock::dist {

/// A non-negative double as a fixed-point number of 128 bits (64 before the point, 64 after), in four digits of 32 bits, each in an int64.
///
/// Why: weights are often fractions (mixed samples, per-token weights), and a floating-point all-reduce adds them in an order that depends on
/// the world and on who is next to whom in the ring. Digits are integers, so their sum is exact and the same for every world and order;
/// the only rounding is the last one, to the nearest double. 2^31 ranks fit before a digit overflows.
/// Exact for every double < 2^63 whose lowest bit is >= 2^-64: 0.1, 1/3, and all counts. Smaller bits are cut.
using fixed_digits = std::array<std::int64_t, 4>;  // least significant first

inline fixed_digits to_digits(double x) {
    if (!(x >= 0) || x >= 0x1p63)
        throw error(message("packet: a weight must be finite, >= 0 and < 2^63, got ", x, "\n  HINT: the weight of a batch is the number of its samples or tokens, or the sum of their weights"));
    auto const whole = static_cast<std::uint64_t>(x);                                              // the part before the point
    auto const part = static_cast<std::uint64_t>(std::ldexp(x - static_cast<double>(whole), 64));  // < 2^64: the difference is exact and < 1
    auto low = [](std::uint64_t v) { return static_cast<std::int64_t>(v & 0xffff'ffffu); };
    return {low(part), low(part >> 32), low(whole), low(whole >> 32)};
}

/// The double nearest to a sum of digits, each of which may have grown beyond 32 bits.
inline double from_digits(fixed_digits d) {
    std::array<std::uint32_t, 6> word{};
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < word.size(); ++i) {
        carry += i < d.size() ? static_cast<std::uint64_t>(d[i]) : 0;
        word[i] = static_cast<std::uint32_t>(carry);
        carry >>= 32;
    }
    // The top 64 significant bits, and whether anything below them is set: the sticky bit makes the conversion round correctly.
    std::size_t top = word.size();
    while (top > 0 && word[top - 1] == 0) --top;
    if (top == 0) return 0;
    auto at = [&](std::size_t back) { return top > back ? word[top - 1 - back] : 0u; };
    int const shift = std::countl_zero(at(0));
    auto head = (std::uint64_t{at(0)} << 32 | at(1)) << shift;
    if (shift) head |= at(2) >> (32 - shift);
    bool sticky = (at(2) << shift) != 0;
    for (std::size_t back = 3; back < top; ++back) sticky = sticky || at(back) != 0;
    if (sticky) head |= 1;
    return std::ldexp(static_cast<double>(head), static_cast<int>(32 * (static_cast<std::ptrdiff_t>(top) - 2)) - shift - 64);
}

}  // namespace penstock::dist
