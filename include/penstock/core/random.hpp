// Implements: Philox4x32-10, keys made of names, and random_stream: bits that depend on (key, pass, ordinal) alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock {

/// One block of Philox4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> counter) {
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round != 10; ++round) {
        auto const a = std::uint64_t{0xD2511F53} * counter[0], b = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(a)};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return counter;
}

/// Mixes one 64-bit value so that every input bit reaches every output bit (the finaliser of SplitMix64).
constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
}

/// The key below `parent` that `name` leads to: equal for equal names, unrelated for different ones.
constexpr std::uint64_t child_key(std::uint64_t parent, std::string_view name) {
    auto h = std::uint64_t{0xCBF29CE484222325};  // FNV-1a over the name
    for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return mix64(mix64(parent) ^ h);
}

/// The random numbers of one (key, pass, ordinal): the same whoever asks, in whatever order, on whatever machine.
/// The ordinal is the permanent identity of a sample or position, never its time of arrival. At most 2^34 draws.
class random_stream {
public:
    constexpr random_stream(std::uint64_t key, std::uint64_t pass, std::uint64_t ordinal)
        : key_(mix64(key ^ (pass >> 32))),
          counter_{0, static_cast<std::uint32_t>(pass), static_cast<std::uint32_t>(ordinal), static_cast<std::uint32_t>(ordinal >> 32)} {}

    constexpr std::uint32_t bits32() {
        if (used_ == 4) {
            block_ = philox(key_, counter_);
            ++counter_[0];
            used_ = 0;
        }
        return block_[used_++];
    }
    constexpr std::uint64_t bits64() {
        auto const high = std::uint64_t{bits32()};
        return high << 32 | bits32();
    }

    /// Uniform in [0, n), n >= 1, without bias (multiply-shift with rejection; Lemire, ACM TOMACS 2019).
    constexpr std::uint32_t below(std::uint32_t n) {
        auto wide = std::uint64_t{bits32()} * n;
        if (static_cast<std::uint32_t>(wide) < n) {
            auto const threshold = (0u - n) % n;
            while (static_cast<std::uint32_t>(wide) < threshold) wide = std::uint64_t{bits32()} * n;
        }
        return static_cast<std::uint32_t>(wide >> 32);
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    constexpr float unit() { return static_cast<float>(bits32() >> 8) * 0x1p-24f; }

    /// True with probability p.
    constexpr bool chance(double p) { return static_cast<double>(bits32()) < p * 4294967296.0; }

private:
    std::uint64_t key_;
    std::array<std::uint32_t, 4> counter_, block_{};
    std::uint32_t used_ = 4;
};

#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define PENSTOCK_NOT_UNROLLED _Pragma("GCC unroll 1")
#else
#define PENSTOCK_NOT_UNROLLED
#endif

/// The first four words of N neighbouring streams, (key, pass, first) to (key, pass, first + N - 1): what random_stream says of each, at a third of the
/// cost, as the processor works on all of them at once. Unrolled, GCC 12 would not see that it can.
template <std::size_t N>
constexpr std::array<std::uint32_t, 4 * N> first_words(std::uint64_t key, std::uint64_t pass, std::uint64_t first) {
    key = mix64(key ^ (pass >> 32));
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    std::array<std::uint32_t, N> c0{}, c1{}, c2{}, c3{};
    PENSTOCK_NOT_UNROLLED
    for (std::size_t i = 0; i != N; ++i) {
        c1[i] = static_cast<std::uint32_t>(pass);
        c2[i] = static_cast<std::uint32_t>(first + i);
        c3[i] = static_cast<std::uint32_t>((first + i) >> 32);
    }
    PENSTOCK_NOT_UNROLLED
    for (int round = 0; round != 10; ++round) {  // as philox()
        PENSTOCK_NOT_UNROLLED
        for (std::size_t i = 0; i != N; ++i) {
            auto const a = std::uint64_t{0xD2511F53} * c0[i], b = std::uint64_t{0xCD9E8D57} * c2[i];
            c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ k0;
            c1[i] = static_cast<std::uint32_t>(b);
            c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ k1;
            c3[i] = static_cast<std::uint32_t>(a);
        }
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    std::array<std::uint32_t, 4 * N> out{};
    PENSTOCK_NOT_UNROLLED
    for (std::size_t i = 0; i != N; ++i) {
        out[4 * i] = c0[i];
        out[4 * i + 1] = c1[i];
        out[4 * i + 2] = c2[i];
        out[4 * i + 3] = c3[i];
    }
    return out;
}
#undef PENSTOCK_NOT_UNROLLED

/// A number for every i: word i mod 4 of the stream (key, pass, i / 4). Neighbours are drawn together: ask in order.
class word_line {
public:
    word_line(std::uint64_t key, std::uint64_t pass) : key_(key), pass_(pass) {}

    std::uint32_t at(std::uint64_t i) {
        if (i / words_.size() != block_) [[unlikely]] draw(i / words_.size());
        return words_[i % words_.size()];
    }

private:
    static constexpr std::size_t streams = 8;
    [[gnu::noinline]] void draw(std::uint64_t block) {
        block_ = block;
        words_ = first_words<streams>(key_, pass_, block * streams);
    }

    std::uint64_t key_, pass_;
    std::uint64_t block_ = ~std::uint64_t{0};  // that words_ holds
    std::array<std::uint32_t, 4 * streams> words_{};
};

}  // namespace penstock
