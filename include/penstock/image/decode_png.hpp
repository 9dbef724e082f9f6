// Implements: png_decoder, PNG to 8-bit samples through libspng.
#pragma once

#include <penstock/core/errors.hpp>          // defines: message
#include <penstock/image/codec_options.hpp>  // defines: codec_options, channels, undecodable, keep_small, luma
#include <penstock/image/pixels.hpp>         // defines: shape

#include <spng.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace penstock::image {

/// One picture at a time: open() reads the header and says what shape comes out, read() writes it. One thread.
///
/// 16-bit samples become 8-bit by >> 8, 1 to 4 bits are scaled to the full range, gamma and colour profiles are ignored. A wrong checksum
/// of a chunk that matters, a cut file and a missing IEND are errors (detail::undecodable); a bad text or EXIF chunk is not.
class png_decoder {
public:
    shape open(std::span<std::byte const> bytes, codec_options const& options) {
        options_ = options;
        head_ = {};
        context_.reset(spng_ctx_new(SPNG_CTX_IGNORE_ADLER32));  // every chunk has a CRC already
        if (!context_) throw std::bad_alloc();
        require(spng_set_chunk_limits(context_.get(), chunk_limit, 2 * chunk_limit));
        require(spng_set_png_buffer(context_.get(), bytes.data(), bytes.size()));
        require(spng_get_ihdr(context_.get(), &head_));
        if (std::uint64_t{head_.width} * head_.height > options.max_pixels)
            throw detail::undecodable{message("PNG of ", head_.width, "x", head_.height, ": at most ", options.max_pixels, " pixels are decoded"),
                                      "raise .max_pixels if the file is meant to be that large"};
        plan_ = choose();
        return {head_.height, head_.width, plan_.channels};
    }

    /// Writes the shape's rows to `out`, where they begin `stride` bytes apart.
    void read(std::uint8_t* out, std::size_t stride) {
        auto const direct = plan_.step == 0;
        auto const row = std::size_t{head_.width} * (direct ? plan_.channels : plan_.stored);
        if (!direct) wide_.resize(row * head_.height);
        auto* const into = direct ? out : wide_.data();
        auto const step = direct ? stride : row;
        if (options_.allow_truncated)
            for (std::uint32_t y = 0; y != head_.height; ++y) std::memset(into + y * step, 128, row);

        int failed = spng_decode_image(context_.get(), nullptr, 0, plan_.format, plan_.flags | SPNG_DECODE_PROGRESSIVE);
        for (spng_row_info at{}; failed == 0;) {  // of an interlaced picture every row several times, with more pixels each
            failed = spng_get_row_info(context_.get(), &at);
            if (failed == 0) failed = spng_decode_row(context_.get(), into + at.row_num * step, row);
        }
        if (failed == SPNG_EOI) failed = spng_decode_chunks(context_.get());  // to IEND: the last checksums, and that nothing is missing
        if (failed == SPNG_EMEM) throw std::bad_alloc();
        if (failed != 0 && !options_.allow_truncated) fail(failed, detail::truncated_hint);
        if (failed != 0) ++warnings_;
        if (!direct)
            for (std::uint32_t y = 0; y != head_.height; ++y) narrow(into + y * row, out + y * stride);
        context_.reset();
        detail::keep_small(wide_);
    }

    /// Pictures taken in spite of damage.
    std::uint64_t warnings() const { return warnings_; }

private:
    static constexpr std::size_t chunk_limit = std::size_t{1} << 27;

    struct plan {
        std::uint32_t channels;    // of the result
        int format, flags;         // what libspng is asked for
        std::uint32_t stored = 0;  // bytes per pixel of that, where it is not the result yet
        std::uint32_t step = 0;    // from one sample of the result to the next in it; 0: it is the result
    };
    struct release {
        void operator()(spng_ctx* c) const noexcept { spng_ctx_free(c); }
    };

    plan choose() {
        auto const gray = head_.color_type == SPNG_COLOR_TYPE_GRAYSCALE, gray_alpha = head_.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
        auto const bytes = head_.bit_depth == 16 ? 2u : 1u;
        if (options_.channels == channels::rgb) return {3, SPNG_FMT_RGB8, 0};
        if (gray && bytes == 1) return {1, SPNG_FMT_G8, 0};
        if (gray) return {1, SPNG_FMT_PNG, 0, bytes, bytes};
        if (gray_alpha && options_.channels == channels::as_stored) return {2, SPNG_FMT_PNG, 0, 2 * bytes, bytes};
        if (gray_alpha) return {1, SPNG_FMT_PNG, 0, 2 * bytes, 2 * bytes};
        if (options_.channels == channels::gray) return {1, SPNG_FMT_RGB8, 0, 3, 3};
        if (head_.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA) return {4, SPNG_FMT_RGBA8, 0};
        if (head_.color_type == SPNG_COLOR_TYPE_INDEXED) {
            spng_trns transparent;
            int const failed = spng_get_trns(context_.get(), &transparent);
            if (failed == 0) return {4, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS};
            if (failed != SPNG_ECHUNKAVAIL && !options_.allow_truncated) require(failed);
        }
        return {3, SPNG_FMT_RGB8, 0};
    }

    /// A row as libspng left it to one of the result: luma of RGB, or the samples wanted, 16 bits to the upper 8.
    void narrow(std::uint8_t const* from, std::uint8_t* out) const {
        if (plan_.format == SPNG_FMT_RGB8) {
            for (std::uint32_t i = 0; i != head_.width; ++i, from += 3) out[i] = detail::luma(from[0], from[1], from[2]);
            return;
        }
        for (std::size_t i = 0; i != std::size_t{head_.width} * plan_.channels; ++i, from += plan_.step) {
            if (head_.bit_depth != 16) {
                out[i] = *from;
                continue;
            }
            std::uint16_t sample = 0;  // in the host's byte order
            std::memcpy(&sample, from, sizeof sample);
            out[i] = static_cast<std::uint8_t>(sample >> 8);
        }
    }

    void require(int failed) const {
        if (failed == SPNG_EMEM) throw std::bad_alloc();
        if (failed != 0) fail(failed, detail::damaged_hint);
    }
    [[noreturn]] void fail(int failed, char const* hint) const {
        auto const known = head_.width != 0 ? message("PNG of ", head_.width, "x", head_.height, ": ") : std::string("PNG: ");
        throw detail::undecodable{known + spng_strerror(failed), hint};
    }

    std::unique_ptr<spng_ctx, release> context_;
    codec_options options_;
    spng_ihdr head_{};
    plan plan_{};
    std::vector<std::uint8_t> wide_;
    std::uint64_t warnings_ = 0;
};

}  // namespace penstock::image
