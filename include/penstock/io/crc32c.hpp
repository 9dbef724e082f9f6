// Implements: crc32c(bytes), the checksum of shards, indexes and checkpoints; by the processor where it can (SSE 4.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace penstock::io {

namespace detail {

constexpr std::array<std::array<std::uint32_t, 256>, 8> crc32c_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1u) != 0 ? 0x82f63b78u : 0u);  // Castagnoli's polynomial, reflected
        t[0][i] = c;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 255u];
    return t;
}

inline constexpr auto crc32c_table = crc32c_tables();

inline std::uint32_t crc32c_portable(std::uint32_t c, unsigned char const* p, std::size_t n) {
    auto const& t = crc32c_table;
    for (; n >= 8; p += 8, n -= 8) {  // eight table look-ups per eight bytes
        c ^= std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
        c = t[7][c & 255u] ^ t[6][(c >> 8) & 255u] ^ t[5][(c >> 16) & 255u] ^ t[4][c >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; n != 0; ++p, --n) c = (c >> 8) ^ t[0][(c ^ *p) & 255u];
    return c;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) inline std::uint32_t crc32c_sse42(std::uint32_t c, unsigned char const* p, std::size_t n) {
    std::uint64_t wide = c;
    for (; n >= 8; p += 8, n -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    c = static_cast<std::uint32_t>(wide);
    for (; n != 0; ++p, --n) c = __builtin_ia32_crc32qi(c, *p);
    return c;
}
#endif

}  // namespace detail

/// CRC-32C of `n` bytes; pass the result of the bytes before as `before` to continue. crc32c("123456789", 9) == 0xe3069283.
inline std::uint32_t crc32c(void const* bytes, std::size_t n, std::uint32_t before = 0) {
    auto const* p = static_cast<unsigned char const*>(bytes);
#if defined(__x86_64__) && defined(__GNUC__)
    static bool const fast = __builtin_cpu_supports("sse4.2");
    if (fast) return ~detail::crc32c_sse42(~before, p, n);
#endif
    return ~detail::crc32c_portable(~before, p, n);
}

}  // namespace penstock::io
