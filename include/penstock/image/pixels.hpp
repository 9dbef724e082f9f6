// Implements: pixels, a picture of 8-bit samples in rows (HWC), which is what decoding yields and augmentation consumes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace penstock::image {

/// Rows, columns and bytes per position of a picture.
struct shape {
    std::uint32_t height = 0, width = 0, channels = 0;

    std::size_t size() const noexcept { return std::size_t{height} * width * channels; }
    /// Bytes of a row without padding.
    std::size_t stride() const noexcept { return std::size_t{width} * channels; }
    friend bool operator==(shape const&, shape const&) = default;
};

/// A picture: height x width x channels bytes, row after row without padding (HWC), one allocation.
///
/// A value: copies share the bytes until one of them is written to, by writable() or set(), which then makes its own.
/// Distinct objects may be used by distinct threads, also when they share bytes.
class pixels {
public:
    pixels() = default;
    /// An owned picture whose bytes are not initialised.
    pixels(std::uint32_t height, std::uint32_t width, std::uint32_t channels)
        : height_(height), width_(width), channels_(channels), owner_(std::make_shared_for_overwrite<std::uint8_t[]>(size())), data_(static_cast<std::uint8_t*>(owner_.get())) {}
    explicit pixels(image::shape s) : pixels(s.height, s.width, s.channels) {}
    /// A picture in storage of somebody else, a slab for example; `owner` keeps the bytes alive and says, by being shared, that they are not ours alone.
    pixels(std::uint32_t height, std::uint32_t width, std::uint32_t channels, std::uint8_t* data, std::shared_ptr<void> owner)
        : height_(height), width_(width), channels_(channels), owner_(std::move(owner)), data_(data) {}

    pixels(pixels const&) = default;
    pixels& operator=(pixels const&) = default;
    pixels(pixels&& other) noexcept
        : height_(std::exchange(other.height_, 0)), width_(std::exchange(other.width_, 0)), channels_(std::exchange(other.channels_, 0)),
          owner_(std::move(other.owner_)), data_(std::exchange(other.data_, nullptr)) {}
    pixels& operator=(pixels&& other) noexcept {
        auto taken = std::move(other);
        swap(taken);
        return *this;
    }
    ~pixels() = default;

    std::uint32_t height() const noexcept { return height_; }
    std::uint32_t width() const noexcept { return width_; }
    std::uint32_t channels() const noexcept { return channels_; }
    image::shape shape() const noexcept { return {height_, width_, channels_}; }
    /// Number of bytes.
    std::size_t size() const noexcept { return shape().size(); }
    /// Bytes from one row to the next.
    std::size_t stride() const noexcept { return shape().stride(); }
    bool empty() const noexcept { return size() == 0; }

    std::uint8_t const* data() const noexcept { return data_; }
    std::span<std::uint8_t const> bytes() const noexcept { return {data_, size()}; }
    std::uint8_t const* row(std::uint32_t y) const noexcept { return data_ + y * stride(); }

    std::uint8_t at(std::uint32_t y, std::uint32_t x, std::uint32_t c) const noexcept { return data_[offset(y, x, c)]; }

    /// The bytes to write to, nobody else's any more; valid until the next copy of this picture.
    std::span<std::uint8_t> writable() {
        unshare();
        return {data_, size()};
    }
    void set(std::uint32_t y, std::uint32_t x, std::uint32_t c, std::uint8_t value) { writable()[offset(y, x, c)] = value; }

    friend bool operator==(pixels const& a, pixels const& b) noexcept {
        return a.height_ == b.height_ && a.width_ == b.width_ && a.channels_ == b.channels_ &&
               (a.size() == 0 || a.data_ == b.data_ || std::memcmp(a.data_, b.data_, a.size()) == 0);
    }

private:
    std::size_t offset(std::uint32_t y, std::uint32_t x, std::uint32_t c) const noexcept { return (std::size_t{y} * width_ + x) * channels_ + c; }
    void swap(pixels& other) noexcept {
        std::swap(height_, other.height_);
        std::swap(width_, other.width_);
        std::swap(channels_, other.channels_);
        owner_.swap(other.owner_);
        std::swap(data_, other.data_);
    }
    void unshare() {
        if (owner_.use_count() > 1) {
            auto mine = pixels(height_, width_, channels_);
            if (size() != 0) std::memcpy(mine.data_, data_, size());
            swap(mine);
        } else {
            // The last other owner may have read these bytes on another thread: its reads come before our writes.
            std::atomic_thread_fence(std::memory_order_acquire);
        }
    }

    std::uint32_t height_ = 0, width_ = 0, channels_ = 0;
    std::shared_ptr<void> owner_;
    std::uint8_t* data_ = nullptr;
};

}  // namespace penstock::image
