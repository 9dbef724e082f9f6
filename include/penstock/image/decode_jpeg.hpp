// Implements: jpeg_decoder, JPEG to 8-bit samples through libjpeg-turbo.
#pragma once

#include <penstock/core/errors.hpp>          // defines: message
#include <penstock/image/codec_options.hpp>  // defines: codec_options, channels, undecodable, luma
#include <penstock/image/pixels.hpp>         // defines: shape

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <span>

#include <jpeglib.h>  // needs size_t and FILE before it

#include <jerror.h>

namespace penstock::image {

/// One picture at a time: open() reads the header and says what shape comes out, read() writes it. One thread.
///
/// Accurate integer DCT and smooth chroma upsampling, libjpeg's defaults; EXIF orientation and profiles are ignored. The colour space is
/// found by libjpeg's rules (JFIF, then Adobe's marker, then component ids). Inks are converted as Pillow does it for files with Adobe's
/// marker (stored inverted: R = c k / 255), by R = (255 - c)(255 - k) / 255 without it. Warnings that mean lost picture data are errors,
/// and so is a component without data.
class jpeg_decoder {
public:
    jpeg_decoder() = default;
    jpeg_decoder(jpeg_decoder const&) = delete;
    jpeg_decoder& operator=(jpeg_decoder const&) = delete;
    ~jpeg_decoder() { jpeg_destroy_decompress(&info_); }

    shape open(std::span<std::byte const> bytes, codec_options const& options) {
        begin();
        trap_.strict = !options.allow_truncated;
        auto header = [&] {
            jpeg_mem_src(&info_, reinterpret_cast<unsigned char const*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
            jpeg_read_header(&info_, TRUE);
        };
        if (!guarded(header)) fail();
        if (std::uint64_t{info_.image_width} * info_.image_height > options.max_pixels)
            throw detail::undecodable{message("JPEG of ", info_.image_width, "x", info_.image_height, ": at most ", options.max_pixels, " pixels are decoded"),
                                      "raise .max_pixels if the file is meant to be that large"};
        if (info_.jpeg_color_space == JCS_UNKNOWN)
            throw detail::undecodable{message("JPEG of ", info_.image_width, "x", info_.image_height, ": the meaning of its ", info_.num_components, " components is not known"), foreign_hint};
        inks_ = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
        auto const one = options.channels == channels::gray ||
                         (options.channels == channels::as_stored && info_.jpeg_color_space == JCS_GRAYSCALE);
        channels_ = one ? 1 : 3;
        info_.out_color_space = inks_ ? JCS_CMYK : one ? JCS_GRAYSCALE : JCS_RGB;
        return {info_.image_height, info_.image_width, channels_};
    }

    /// Writes the shape's rows to `out`, where they begin `stride` bytes apart.
    void read(std::uint8_t* out, std::size_t stride) {
        auto rows = [&] {
            jpeg_start_decompress(&info_);
            auto const common = reinterpret_cast<j_common_ptr>(&info_);
            auto const inks = inks_ ? info_.mem->alloc_sarray(common, JPOOL_IMAGE, info_.image_width * 4, 1) : nullptr;
            while (info_.output_scanline < info_.output_height) {
                auto* at = out + info_.output_scanline * stride;
                if (inks) {
                    jpeg_read_scanlines(&info_, inks, 1);
                    from_inks(*inks, at);
                } else {
                    JSAMPROW several[4];
                    auto const left = info_.output_height - info_.output_scanline, n = left < 4 ? left : 4;
                    for (JDIMENSION i = 0; i != n; ++i) several[i] = at + i * stride;
                    jpeg_read_scanlines(&info_, several, n);
                }
            }
            require_components();
            jpeg_finish_decompress(&info_);
        };
        if (!guarded(rows)) fail();
        if (trap_.odd) ++warnings_;
    }

    /// Pictures that were decoded in spite of an oddity: unknown revisions, bytes between segments, damage under allow_truncated.
    std::uint64_t warnings() const { return warnings_; }

private:
    static constexpr char foreign_hint[] = "libjpeg-turbo does not decode this kind of JPEG: convert it to 8 bits per sample, gray, colour or CMYK, baseline or progressive";
    static constexpr int scan_limit = 500;  // a progressive file of more is a decompression bomb: every scan touches all coefficients

    struct trap {
        jpeg_error_mgr base;  // first: libjpeg's pointer to it is a pointer to the trap
        std::jmp_buf jump;
        char text[JMSG_LENGTH_MAX];
        char const* hint;
        bool strict, odd;
    };
    static trap& trap_of(j_common_ptr c) { return *reinterpret_cast<trap*>(c->err); }

    /// A new object for every picture: an old one keeps the tables of the picture before, and a damaged file would be decoded with them.
    /// It costs 0.2 to 0.5 us, a gray picture of 28 x 28 6 us.
    void begin() {
        jpeg_destroy_decompress(&info_);
        trap_ = {};
        info_.err = jpeg_std_error(&trap_.base);
        trap_.base.error_exit = on_error;
        trap_.base.emit_message = on_message;
        trap_.base.output_message = [](j_common_ptr) {};
        auto create = [&] { jpeg_create_decompress(&info_); };
        if (!guarded(create))
            throw detail::undecodable{message("libjpeg: ", trap_.text), "the headers and the library of libjpeg-turbo do not match"};
        progress_.progress_monitor = on_progress;
        info_.progress = &progress_;
    }

    /// Runs f, which only calls libjpeg; false if that failed. The jump out of libjpeg ends f: it must hold no object with a destructor.
    template <class F>
    bool guarded(F& f) {
        if (setjmp(trap_.jump) != 0) return false;
        f();
        return true;
    }
    [[noreturn]] static void stop(trap& t, char const* hint) {
        t.hint = hint;
        std::longjmp(t.jump, 1);
    }
    [[noreturn]] static void on_error(j_common_ptr c) {
        auto& t = trap_of(c);
        t.base.format_message(c, t.text);
        switch (t.base.msg_code) {
            case JERR_ARITH_NOTIMPL:
            case JERR_BAD_PRECISION:
            case JERR_CCIR601_NOTIMPL:
            case JERR_COMPONENT_COUNT:
            case JERR_CONVERSION_NOTIMPL:
            case JERR_FRACT_SAMPLE_NOTIMPL:
            case JERR_IMAGE_TOO_BIG:
            case JERR_NOTIMPL:
            case JERR_NOT_COMPILED:
            case JERR_SOF_UNSUPPORTED:
            case JERR_WIDTH_OVERFLOW: stop(t, foreign_hint);
            default: stop(t, detail::damaged_hint);
        }
    }
    static void on_message(j_common_ptr c, int level) {
        if (level >= 0) return;  // traces
        auto& t = trap_of(c);
        switch (t.base.msg_code) {
            case JWRN_HIT_MARKER:
            case JWRN_HUFF_BAD_CODE:
            case JWRN_ARITH_BAD_CODE:
            case JWRN_BOGUS_PROGRESSION:
            case JWRN_JPEG_EOF:
            case JWRN_MUST_RESYNC:
                t.base.format_message(c, t.text);
                lost(t);
                break;
            default: t.odd = true;
        }
    }
    static void lost(trap& t) {
        if (t.strict) stop(t, detail::truncated_hint);
        t.odd = true;
    }
    static void on_progress(j_common_ptr c) {
        if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number <= scan_limit) return;
        auto& t = trap_of(c);
        std::snprintf(t.text, JMSG_LENGTH_MAX, "more than %d scans", scan_limit);
        stop(t, detail::damaged_hint);
    }
    /// A component that no scan had is plain gray for libjpeg.
    void require_components() {
        for (int i = 0; i != info_.num_components; ++i)
            if (info_.comp_info[i].quant_table == nullptr) {
                std::snprintf(trap_.text, JMSG_LENGTH_MAX, "no data of component %d of %d", i + 1, info_.num_components);
                lost(trap_);
            }
    }

    void from_inks(JSAMPLE const* from, std::uint8_t* out) const {
        auto const flip = info_.saw_Adobe_marker ? 0u : 255u;  // Adobe stores 255 - ink
        for (JDIMENSION x = 0; x != info_.image_width; ++x, from += 4, out += channels_) {
            auto const k = from[3] ^ flip;
            auto const mix = [&](unsigned ink) { return ((ink ^ flip) * k + 127) / 255; };
            auto const r = mix(from[0]), g = mix(from[1]), b = mix(from[2]);
            if (channels_ == 1) *out = detail::luma(r, g, b);
            else out[0] = static_cast<std::uint8_t>(r), out[1] = static_cast<std::uint8_t>(g), out[2] = static_cast<std::uint8_t>(b);
        }
    }

    [[noreturn]] void fail() {
        auto const known = info_.image_width != 0 ? message("JPEG of ", info_.image_width, "x", info_.image_height, ": ") : std::string("JPEG: ");
        jpeg_destroy_decompress(&info_);
        if (trap_.base.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
        throw detail::undecodable{known + trap_.text, trap_.hint};
    }

    jpeg_decompress_struct info_{};
    trap trap_{};
    jpeg_progress_mgr progress_{};
    bool inks_ = false;
    std::uint32_t channels_ = 3;
    std::uint64_t warnings_ = 0;
};

}  // namespace penstock::image
