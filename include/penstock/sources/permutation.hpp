// Implements: permutation, an order of the numbers below n that is computed number by number, without a table.
#pragma once

#include <penstock/core/random.hpp>  // defines: random_stream, mix64

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace penstock {

/// A bijection of [0, n), n >= 1 and up to 2^64 - 1, that depends on (n, key, pass) alone and is the same on every machine, for ever.
///
/// A Feistel network over the smallest power of two >= n: the number is cut into a low and a high part of w / 2 bits (the low one takes the odd bit),
/// and each in turn is xored with a mix of the other one and a key of the round, which is undone by doing it again: a bijection whatever the
/// mix does. Numbers that come out at n or above go through once more (cycle walking; Black and Rogaway, "Ciphers with arbitrary finite domains", 2002),
/// which the cycle through the start ends; as the domain is below 2n, once or twice on average.
class permutation {
public:
    constexpr permutation(std::uint64_t n, std::uint64_t key, std::uint64_t pass) : n_(n) {
        auto const width = static_cast<unsigned>(std::bit_width(n - 1));
        low_bits_ = (width + 1) / 2;
        low_mask_ = mask(low_bits_);
        high_mask_ = mask(width / 2);
        if (width >= 12) rounds_ = 6;
        random_stream draw(key, pass, 0);
        for (std::size_t i = 0; i != rounds_; ++i) keys_[i] = draw.bits64();
    }

    constexpr std::uint64_t operator()(std::uint64_t i) const {
        do {
            auto low = i & low_mask_, high = i >> low_bits_;
            for (std::size_t round = 0; round != rounds_; round += 2) {
                high ^= mix64(low ^ keys_[round]) & high_mask_;
                low ^= mix64(high ^ keys_[round + 1]) & low_mask_;
            }
            i = high << low_bits_ | low;
        } while (i >= n_);
        return i;
    }

private:
    static constexpr std::uint64_t mask(unsigned bits) { return (std::uint64_t{1} << bits) - 1; }  // bits <= 32

    std::uint64_t n_;
    unsigned low_bits_;
    std::uint64_t low_mask_, high_mask_;
    std::size_t rounds_ = 24;  // halves of few bits mix little: with 6 rounds some orders of ten numbers are visibly rarer
    std::array<std::uint64_t, 24> keys_{};
};

}  // namespace penstock
