// Implements: decode(names, options), which puts the decoded, augmented picture of a sample beside its other fields.
#pragma once

#include <penstock/core/blame.hpp>      // defines: rethrow_for
#include <penstock/core/blob.hpp>       // defines: blob
#include <penstock/core/errors.hpp>     // defines: config_error, stage_error, place, fault, message
#include <penstock/core/fields.hpp>     // defines: fields
#include <penstock/core/keyed.hpp>      // defines: keyed
#include <penstock/core/stage.hpp>      // defines: stage_over, stage, broken_chain, epoch, stats_report
#include <penstock/image/augment.hpp>   // defines: crop, augmentation
#include <penstock/image/codec.hpp>     // defines: codec, codec_options, channels
#include <penstock/image/geometry.hpp>  // defines: geometry
#include <penstock/image/pixels.hpp>    // defines: pixels, shape

#include <concepts>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::image {

/// A sample with its picture. The other fields are read as before: integer("cls"), text("txt"), bytes(...), has(...).
/// image() of an rvalue gives the pixels away; of an lvalue it refers to them, and a copy of them shares their bytes.
class decoded {
public:
    decoded() = default;
    decoded(pixels picture, penstock::fields rest) : picture_(std::move(picture)), fields_(std::move(rest)) {}

    pixels const& image() const& { return picture_; }
    pixels image() && { return std::move(picture_); }

    bool has(std::string_view names) const { return fields_.has(names); }
    blob const& bytes(std::string_view names) const { return fields_.bytes(names); }
    std::string_view text(std::string_view names) const { return fields_.text(names); }
    std::int64_t integer(std::string_view names) const { return fields_.integer(names); }
    place where() const { return fields_.where(); }
    std::string const& key() const { return fields_.key(); }
    /// All fields, the undecoded picture among them.
    penstock::fields const& fields() const { return fields_; }

private:
    pixels picture_;
    penstock::fields fields_;
};

struct decode_options {
    image::channels channels = image::channels::rgb;
    /// no_crop, center_crop(h, w), random_crop(h, w, {.padding = 0}), or a function from (shape, random_stream&) to a geometry or a box
    image::crop crop = no_crop{};
    double flip = 0;                                    ///< probability of mirroring left to right, 0 to 1
    std::uint64_t max_pixels = std::uint64_t{1} << 28;  ///< a picture of more is refused before anything is allocated for it
    /// Take what a cut or damaged file still gives (of a PNG its whole IDAT chunks), the rest gray; counts a warning.
    bool allow_truncated = false;
};

template <class S>
class [[nodiscard]] decode_stage : public stage_over<S> {
public:
    using item_type = keyed<decoded>;
    using stateless = void;  // keys come from the epoch, counters from the sample's identity

    decode_stage(S input, std::string names, decode_options options)
        : stage_over<S>(std::move(input)), names_(std::move(names)), options_(std::move(options)),
          codec_options_{options_.channels, options_.max_pixels, options_.allow_truncated}, augment_(epoch{}.key) {}

    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return finish(std::move(*item));
    }
    /// Draws from the epoch's key and hands a key of its own upstream.
    void reset(epoch e)
        requires resettable<S>
    {
        augment_ = augmentation(e.key);
        this->up.reset(e.child("decode"));
    }
    bool discard() { return penstock::discard(this->up); }

    template <class F>
    bool for_each_while(F& f) {
        auto g = [&](keyed<fields>&& item) { return f(finish(std::move(item))); };
        return penstock::for_each_while(this->up, g);
    }

    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        auto const odd = warnings();
        r.push_back({.name = "image::decode", .note = odd == 0 ? "" : message(odd, odd == 1 ? " picture was" : " pictures were", " decoded in spite of damage or an oddity of the file"), .items = items_, .bytes = bytes_, .errors = errors_});
    }
    /// Pictures that were decoded in spite of an oddity so far.
    std::uint64_t warnings() const { return codec_.warnings(); }

private:
    item_type finish(keyed<fields>&& item) {
        auto picture = make(item);
        ++items_;
        bytes_ += picture.size();
        auto rest = std::move(item.value);
        return std::move(item).with(decoded(std::move(picture), std::move(rest)));
    }

    pixels make(keyed<fields>& item) try {
        auto const of = codec_.open(item.value.bytes(names_).bytes(), codec_options_);
        auto const g = checked(augment_(options_.crop, options_.flip, of, item.pass, item.id));
        auto out = pixels(g.height, g.width, of.channels);
        codec_.read(g, out.writable().data(), out.stride());
        return out;
    } catch (detail::undecodable const& e) {
        auto at = item.value.where();
        at.sample = item.id;
        ++errors_;
        auto error = stage_error("image::decode", fault::content, std::move(at), e.cause, e.hint);
        error.positions = std::move(item.cover);
        throw error;
    } catch (stage_error& e) {  // there is no such field
        ++errors_;
        e.where.sample = item.id;
        auto error = stage_error("image::decode", e.kind, std::move(e.where), e.cause, e.hint);
        error.positions = std::move(item.cover);
        throw error;
    } catch (std::bad_alloc const&) {
        throw;
    } catch (...) {  // the user's crop threw
        ++errors_;
        penstock::detail::rethrow_for("image::decode", item);
    }

    geometry checked(geometry const& g) const {
        constexpr auto reach = std::int64_t{1} << 31;
        auto const& w = g.box;
        if (w.height == 0 || w.width == 0 || std::uint64_t{w.height} * w.width > options_.max_pixels || w.top < -reach ||
            w.top > reach || w.left < -reach || w.left > reach)
            throw detail::undecodable{message("crop: must be 1 to ", options_.max_pixels, " pixels near the picture, got ", w.height, "x",
                                              w.width, " at row ", w.top, ", column ", w.left),
                                      "look at the function given as .crop"};
        if (g.scales())
            throw detail::undecodable{message("crop: must be as large as its box in the picture, ", w.height, "x", w.width, ", got ", g.height, "x", g.width),
                                      "pictures are not resized here: take a box of the size wanted"};
        return g;
    }

    std::string names_;
    decode_options options_;
    codec_options codec_options_;
    augmentation augment_;
    codec codec_;
    std::uint64_t items_ = 0, bytes_ = 0, errors_ = 0;
};

/// Decodes the picture in the first present field of `names` ("jpg;png"), crops and mirrors it, and puts it beside the other fields.
/// EXIF orientation, gamma and colour profiles are not applied.
///
/// Order    unchanged; crop and flip depend on (seed, pass, sample id) alone
/// Buffers  nothing; one picture's worth of scratch memory
/// Resume   exact, no state of its own
/// Threads  none
/// Errors   stage_error (content) with shard, key and byte: no such field, not PNG or JPEG, damaged, larger than max_pixels, smaller than the crop;
///          (user) what the function given as .crop threw. Damage taken by .allow_truncated is counted in stats()
///
///     samples | image::decode("jpg;png", {.channels = image::channels::gray, .crop = image::random_crop(28, 28, {.padding = 4}), .flip = 0.5})
inline auto decode(std::string names, decode_options options = {}) {
    if (names.empty())
        throw config_error("image::decode: names must not be empty, got ''\n  HINT: the extensions of the picture, the preferred one first, as in \"jpg;png\"");
    if (!(options.flip >= 0 && options.flip <= 1))
        throw config_error(message("image::decode: flip must be a probability, 0 to 1, got ", options.flip, "\n  HINT: 0.5 mirrors every other picture"));
    if (options.max_pixels == 0) throw config_error("image::decode: max_pixels must be at least 1, got 0\n  HINT: leave it out for 2^28");
    return stage("image::decode", [names = std::move(names), options = std::move(options)]<class S>(S input) {
        constexpr bool samples = std::same_as<typename S::item_type, keyed<fields>>;
        static_assert(samples, "image::decode needs samples, keyed<fields>, as read_tar() yields them. HINT: decode before map(), or call image::decode_image(bytes) in map()");
        if constexpr (samples) return decode_stage<S>(std::move(input), names, options);
        else return broken_chain{};
    });
}

}  // namespace penstock::image
