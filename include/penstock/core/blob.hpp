// Implements: blob, bytes that somebody keeps alive: a mapping, a downloaded block, an inflated block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// A read-only span of bytes and a share in their owner. Copying copies no byte; parts share the owner.
class blob {
public:
    blob() = default;
    blob(std::span<std::byte const> bytes, std::shared_ptr<void const> owner)
        : data_(bytes.data()), size_(bytes.size()), owner_(std::move(owner)) {}

    /// Owns a copy of `text`.
    static blob of(std::string_view text) {
        auto owner = std::make_shared<std::string>(text);
        return {std::as_bytes(std::span(*owner)), owner};
    }
    /// Takes a container of bytes over (std::string, std::vector<std::byte>, ...).
    template <class Container>
    static blob own(Container bytes) {
        auto owner = std::make_shared<Container>(std::move(bytes));
        return {std::as_bytes(std::span(*owner)), owner};
    }

    std::byte const* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::span<std::byte const> bytes() const noexcept { return {data_, size_}; }
    std::string_view text() const noexcept { return {reinterpret_cast<char const*>(data_), size_}; }
    std::uint8_t const* u8() const noexcept { return reinterpret_cast<std::uint8_t const*>(data_); }

    /// Bytes [begin, begin + length) of this blob, which must hold them.
    blob part(std::size_t begin, std::size_t length) const { return {bytes().subspan(begin, length), owner_}; }

    friend bool operator==(blob const& a, blob const& b) { return a.text() == b.text(); }

private:
    std::byte const* data_ = nullptr;
    std::size_t size_ = 0;
    std::shared_ptr<void const> owner_;
};

}  // namespace penstock
