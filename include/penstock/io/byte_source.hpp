// Implements: byte_source, the seam between formats and where bytes live; opener, which tests and users may replace.
#pragma once

#include <penstock/core/blob.hpp>    // defines: blob
#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace penstock::io {

/// Bytes at offsets [0, size()). One thread reads; only `cancel` may be called from another.
/// Every failure is a stage_error of kind io that names the source; a call that failed may be tried again.
class byte_source {
public:
    byte_source() = default;
    byte_source(byte_source const&) = delete;
    byte_source& operator=(byte_source const&) = delete;
    virtual ~byte_source() = default;

    /// For messages: a path or an address.
    virtual std::string const& name() const = 0;
    /// Length in bytes, as it was when the source was made.
    virtual std::uint64_t size() const = 0;
    /// Exactly `length` bytes from `offset`, kept alive by the blob.
    virtual blob read(std::uint64_t offset, std::size_t length) = 0;
    /// The same bytes for a short look (headers): valid until the next call on this source.
    virtual std::span<std::byte const> peek(std::uint64_t offset, std::size_t length) {
        peeked_ = read(offset, length);
        return peeked_.bytes();
    }
    /// Throws when what was read so far may be wrong: the bytes changed their length meanwhile. Readers call it where they find an end.
    virtual void verify() {}
    /// From any thread: a read that waits, and every later one, ends with a stage_error.
    virtual void cancel() noexcept = 0;

protected:
    /// The error every source throws.
    [[noreturn]] void fail(std::uint64_t byte, std::string const& cause, std::string const& hint) const {
        throw stage_error("read", fault::io, place{name(), {}, byte, {}}, cause, hint);
    }
    void check_range(std::uint64_t offset, std::size_t length) const {
        if (offset > size() || length > size() - offset)
            fail(offset, message("bytes [", offset, ", ", offset, " + ", length, ") asked of ", size()), "the reader of the format has a bug; please report it");
    }

private:
    blob peeked_;
};

/// How a reader turns the name of a shard into bytes.
using opener = std::function<std::shared_ptr<byte_source>(std::string const& path)>;

}  // namespace penstock::io
