// Implements: codec, which decodes a picture by what its bytes are; decode_image, the same as a plain function.
#pragma once

#include <penstock/core/blob.hpp>            // defines: blob
#include <penstock/core/errors.hpp>          // defines: stage_error, place, fault, message
#include <penstock/image/codec_options.hpp>  // defines: codec_options, channels, undecodable, keep_small
#include <penstock/image/decode_jpeg.hpp>    // defines: jpeg_decoder
#include <penstock/image/decode_png.hpp>     // defines: png_decoder
#include <penstock/image/geometry.hpp>       // defines: geometry, crop_flip
#include <penstock/image/pixels.hpp>         // defines: pixels, shape

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::image {

/// The decoders with their memory, kept from one picture to the next. One thread at a time; movable.
///
/// The bytes choose the decoder, names do not: PNG and JPEG, also inside gzip (once), because real data sets hold such files.
/// A picture comes out as from a new codec, whatever came before. open() and read() throw detail::undecodable, decode() throws stage_error.
class codec {
public:
    /// Reads the header; `bytes` must outlive the read().
    shape open(std::span<std::byte const> bytes, codec_options const& options) {
        detail::keep_small(inflated_);
        if (starts_with(bytes, "\x1f\x8b")) {
            inflate_all(bytes);
            bytes = inflated_;
        }
        png_next_ = starts_with(bytes, "\x89PNG\r\n\x1a\n");
        if (png_next_) return announced_ = png_.open(bytes, options);
        if (!starts_with(bytes, "\xff\xd8\xff"))
            throw detail::undecodable{"neither PNG nor JPEG: " + describe(bytes), "look at the file; only the bytes count, not its name"};
        if (!jpeg_) jpeg_ = std::make_unique<jpeg_decoder>();
        return announced_ = jpeg_->open(bytes, options);
    }
    /// Writes the picture that open() announced to `out`, where its rows begin `stride` bytes apart: memory of anybody's, part of a larger one too.
    void read(std::uint8_t* out, std::size_t stride) { png_next_ ? png_.read(out, stride) : jpeg_->read(out, stride); }
    /// Writes `g` of it, which must not scale, and nothing between the rows.
    void read(geometry const& g, std::uint8_t* out, std::size_t stride) {
        if (g == geometry(announced_)) return read(out, stride);
        if (scratch_.size() < announced_.size()) scratch_ = std::vector<std::uint8_t>(announced_.size());
        read(scratch_.data(), announced_.stride());
        crop_flip(scratch_.data(), announced_, g, out, stride);
        detail::keep_small(scratch_);
    }

    pixels decode(blob const& bytes, codec_options const& options = {}, place const& where = {}) try {
        auto out = pixels(open(bytes.bytes(), options));
        read(out.writable().data(), out.stride());
        return out;
    } catch (detail::undecodable const& e) {
        throw stage_error("image::decode", fault::content, where, e.cause, e.hint);
    }

    /// Pictures that were decoded in spite of an oddity so far.
    std::uint64_t warnings() const { return png_.warnings() + (jpeg_ ? jpeg_->warnings() : 0); }

private:
    static constexpr std::size_t inflate_limit = std::size_t{1} << 28;

    static bool starts_with(std::span<std::byte const> bytes, std::string_view magic) {
        return std::string_view(reinterpret_cast<char const*>(bytes.data()), bytes.size()).starts_with(magic);
    }

    static std::string describe(std::span<std::byte const> bytes) {
        if (bytes.empty()) return "the file is empty";
        if (starts_with(bytes, "GIF8")) return "a GIF, which is not supported";
        if (starts_with(bytes, "RIFF")) return "a RIFF file (WebP), which is not supported";
        constexpr char digits[] = "0123456789abcdef";
        auto text = std::string("it starts with '"), hex = std::string();
        for (auto b : bytes.first((std::min)(bytes.size(), std::size_t{12}))) {
            auto const c = std::to_integer<unsigned>(b);
            text += c >= ' ' && c < 127 ? static_cast<char>(c) : '.';
            hex += {' ', digits[c >> 4], digits[c & 15]};
        }
        return text + "' (hex" + hex + ")";
    }

    void inflate_all(std::span<std::byte const> bytes) {
        auto z = z_stream{};
        if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();  // 16: a gzip header and trailer
        auto const end = std::unique_ptr<z_stream, decltype([](z_stream* s) { inflateEnd(s); })>(&z);
        z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));  // zlib does not write to it
        z.avail_in = static_cast<uInt>((std::min)(bytes.size(), inflate_limit));
        inflated_.resize((std::min)(inflate_limit, 4 * bytes.size() + 1024));
        auto done = std::size_t{0};
        for (int status = Z_OK; status != Z_STREAM_END;) {
            if (done == inflated_.size()) {
                if (done == inflate_limit) throw detail::undecodable{message("gzip: inflates to more than ", inflate_limit, " bytes"), "this is no picture"};
                inflated_.resize((std::min)(inflate_limit, 2 * done));
            }
            z.next_out = reinterpret_cast<Bytef*>(inflated_.data()) + done;
            z.avail_out = static_cast<uInt>(inflated_.size() - done);
            status = inflate(&z, Z_NO_FLUSH);
            done = inflated_.size() - z.avail_out;
            if (status == Z_MEM_ERROR) throw std::bad_alloc();
            if (status != Z_OK && status != Z_STREAM_END)
                throw detail::undecodable{message("gzip: ", z.msg ? z.msg : "the stream is cut"), detail::damaged_hint};
        }
        inflated_.resize(done);
    }

    png_decoder png_;
    std::unique_ptr<jpeg_decoder> jpeg_;  // made when the first JPEG comes: libjpeg's object cannot move
    bool png_next_ = false;
    shape announced_{};
    std::vector<std::byte> inflated_;
    std::vector<std::uint8_t> scratch_;
};

/// Decodes one PNG or JPEG, for users who do it in a function of their own; keep a codec beside it where many are decoded.
///
///     auto const picture = image::decode_image(bytes, {.channels = image::channels::gray});
inline pixels decode_image(blob const& bytes, codec_options const& options = {}) { return codec().decode(bytes, options); }

}  // namespace penstock::image
