// Implements: one 512-byte tar header: checksum, numbers, dialect, name (POSIX.1-2001 pax, ustar, GNU tar, V7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock::detail {

inline constexpr std::size_t tar_block = 512;

/// Bytes of data blocks that hold `size` bytes.
constexpr std::uint64_t tar_padded(std::uint64_t size) { return (size + (tar_block - 1)) / tar_block * tar_block; }

/// Octal ASCII with leading spaces, ended by NUL, space or the end of the field, or base-256 (first byte 0x80).
/// Empty is 0; no value for any other character, a negative number, or one above 2^63 - 1.
inline std::optional<std::uint64_t> tar_number(std::string_view field) {
    constexpr auto most = std::uint64_t{1} << 63;
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(field[i]); };
    std::uint64_t value = 0;
    if ((byte(0) & 0x80) != 0) {
        if (byte(0) != 0x80) return std::nullopt;  // 0xff: negative; the rest: too large or nonsense
        for (std::size_t i = 1; i < field.size(); ++i) {
            if (value >= most >> 8) return std::nullopt;
            value = value << 8 | byte(i);
        }
        return value;
    }
    std::size_t i = 0;
    while (i < field.size() && field[i] == ' ') ++i;
    for (; i < field.size() && field[i] != '\0' && field[i] != ' '; ++i) {
        if (field[i] < '0' || field[i] > '7' || value >= most >> 3) return std::nullopt;
        value = value << 3 | static_cast<std::uint64_t>(field[i] - '0');
    }
    return value;
}

/// A view of one header block; the block must outlive it.
class tar_header {
public:
    explicit tar_header(std::span<std::byte const> block) : all_(reinterpret_cast<char const*>(block.data()), tar_block) {}

    bool zero() const {
        if (all_[0] != '\0') return false;  // a name, nearly always
        std::uint64_t any = 0;
        for (std::size_t i = 0; i < tar_block; i += 8) {
            std::uint64_t word;
            std::memcpy(&word, all_.data() + i, 8);
            any |= word;
        }
        return any == 0;
    }
    /// The stored sum is the sum of all bytes, its own eight taken as spaces; old archives summed signed bytes.
    bool checksum_holds() const {
        auto const stored = tar_number(field(148, 8));
        if (!stored) return false;
        auto const* const u = reinterpret_cast<unsigned char const*>(all_.data());
        constexpr std::uint64_t even = 0x00ff00ff00ff00ff;  // every second byte: sums of 16 bits, four in a word, at most 128 * 255 each
        std::uint64_t sums = 0;
        for (std::size_t i = 0; i < tar_block; i += 8) {
            std::uint64_t word;
            std::memcpy(&word, u + i, 8);
            sums += (word & even) + (word >> 8 & even);
        }
        std::uint32_t sum = 8 * ' ';
        for (; sums != 0; sums >>= 16) sum += sums & 0xffff;
        for (std::size_t i = 148; i < 156; ++i) sum -= u[i];
        if (*stored == sum) return true;
        std::int32_t negative = 0;  // each byte above 127 counts 256 less when signed
        for (std::size_t i = 0; i < tar_block; ++i)
            if (i < 148 || i >= 156) negative += u[i] >> 7;
        return static_cast<std::int64_t>(*stored) == static_cast<std::int64_t>(sum) - 256 * static_cast<std::int64_t>(negative);
    }
    char type() const { return all_[156]; }
    std::optional<std::uint64_t> size() const { return tar_number(field(124, 12)); }

    bool ustar() const { return magic_is("ustar\00000"); }
    bool v7() const { return magic_is("\0\0\0\0\0\0\0\0"); }

    /// The name in this block. Only the ustar dialect has a prefix: GNU keeps other things there.
    void name(std::string& into) const {
        auto const prefix = ustar() ? text(345, 155) : std::string_view{};
        into.assign(prefix);
        if (!prefix.empty()) into += '/';
        into += text(0, 100);
    }

private:
    bool magic_is(char const (&text)[9]) const { return std::memcmp(all_.data() + 257, text, 8) == 0; }
    std::string_view field(std::size_t at, std::size_t length) const { return {all_.data() + at, length}; }
    std::string_view text(std::size_t at, std::size_t length) const {
        auto const f = field(at, length);
        return f.substr(0, f.find('\0'));
    }
    std::string_view all_;
};

}  // namespace penstock::detail
