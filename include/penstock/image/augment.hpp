// Implements: crop policies, and crop and flip in one pass over integers.
#pragma once

#include <penstock/core/errors.hpp>          // defines: config_error, message
#include <penstock/core/random.hpp>          // defines: random_stream, child_key
#include <penstock/image/codec_options.hpp>  // defines: undecodable
#include <penstock/image/pixels.hpp>         // defines: pixels, shape

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

namespace penstock::image {

/// Rows [top, top + height) and columns [left, left + width) of a picture; what lies outside the picture is zero.
struct window {
    std::int64_t top = 0, left = 0;
    std::uint32_t height = 0, width = 0;

    friend bool operator==(window const&, window const&) = default;
};

/// The whole picture.
struct no_crop {
    window operator()(shape of, random_stream&) const { return {0, 0, of.height, of.width}; }
};

/// The middle; a smaller picture gets a zero margin. Halves are rounded to even, as torchvision's CenterCrop does.
struct center_crop_policy {
    std::uint32_t height, width;

    window operator()(shape of, random_stream&) const { return {middle(of.height, height), middle(of.width, width), height, width}; }

private:
    static std::int64_t middle(std::int64_t have, std::int64_t want) {
        auto const spare = have - want;
        return spare < 0 ? -(-spare / 2) : spare / 2 + (spare % 4 == 3);
    }
};

/// Any place with equal probability, in the picture with `padding` zeros around it (torchvision's RandomCrop).
/// Draws the row, then the column.
struct random_crop_policy {
    std::uint32_t height, width, padding;

    window operator()(shape of, random_stream& random) const {
        auto const spare = [&](std::uint32_t have, std::uint32_t want) {
            auto const room = std::uint64_t{have} + 2 * std::uint64_t{padding};
            if (room < want)
                throw detail::undecodable{message("random_crop(", height, ", ", width, "): must fit into the picture, got ", of.height, "x",
                                                  of.width, " with padding ", padding),
                                          "raise .padding, or resize the pictures first"};
            return static_cast<std::uint32_t>(room - want + 1);
        };
        auto const rows = spare(of.height, height), columns = spare(of.width, width);
        auto const top = std::int64_t{random.below(rows)} - padding;
        return {top, std::int64_t{random.below(columns)} - padding, height, width};
    }
};

struct random_crop_options {
    std::int64_t padding = 0;  ///< zeros on every side before the crop is placed
};

namespace detail {
inline std::uint32_t crop_side(char const* what, std::int64_t value, std::int64_t least) {
    constexpr auto most = std::int64_t{1} << 24;
    if (value < least || value > most)
        throw config_error(message(what, " must be ", least, " to ", most, ", got ", value, "\n  HINT: sides are pixels, height first"));
    return static_cast<std::uint32_t>(value);
}
}  // namespace detail

inline random_crop_policy random_crop(std::int64_t height, std::int64_t width, random_crop_options options = {}) {
    return {detail::crop_side("random_crop: height", height, 1), detail::crop_side("random_crop: width", width, 1),
            detail::crop_side("random_crop: padding", options.padding, 0)};
}
inline center_crop_policy center_crop(std::int64_t height, std::int64_t width) {
    return {detail::crop_side("center_crop: height", height, 1), detail::crop_side("center_crop: width", width, 1)};
}

/// Which part of a picture becomes the sample: a policy of this header, or any function window(shape, random_stream&) of the user's.
/// All its randomness comes from the stream, which belongs to (seed, pass, sample).
class crop {
public:
    crop() = default;
    template <class P>
        requires(!std::same_as<std::remove_cvref_t<P>, crop>) && std::is_invocable_r_v<window, P&, image::shape, random_stream&>
    crop(P policy) : policy_(make(std::move(policy))) {}

    window operator()(shape of, random_stream& random) const {
        return std::visit([&](auto const& p) { return p(of, random); }, policy_);
    }
    /// Whether the whole picture is kept and nothing needs to be asked.
    bool keeps_all() const { return std::holds_alternative<no_crop>(policy_); }

private:
    using any = std::variant<no_crop, center_crop_policy, random_crop_policy, std::function<window(shape, random_stream&)>>;
    template <class P>
    static any make(P policy) {
        if constexpr (std::is_constructible_v<std::variant<no_crop, center_crop_policy, random_crop_policy>, P>) return policy;
        else return std::function<window(shape, random_stream&)>(std::move(policy));
    }
    any policy_;
};

/// Writes `part` of the picture at `from`, mirrored left to right if `flip`, to `out`: part.height x part.width x channels bytes.
inline void copy_window(std::uint8_t const* from, shape of, window part, bool flip, std::uint8_t* out) {
    auto const c = std::size_t{of.channels};
    auto const width = std::int64_t{part.width};
    auto const first = (std::clamp)(-part.left, std::int64_t{0}, width);  // columns [first, last) of the window lie in the picture
    auto const last = (std::clamp)(std::int64_t{of.width} - part.left, first, width);
    auto const inside = static_cast<std::size_t>(last - first);
    auto const before = static_cast<std::size_t>(flip ? width - last : first), after = part.width - before - inside;
    for (std::uint32_t y = 0; y != part.height; ++y, out += part.width * c) {
        auto const row = part.top + y;
        if (row < 0 || row >= of.height || inside == 0) {
            std::memset(out, 0, part.width * c);
            continue;
        }
        auto const* src = from + (static_cast<std::size_t>(row) * of.width + static_cast<std::size_t>(part.left + first)) * c;
        auto* dst = out + before * c;
        if (before != 0) std::memset(out, 0, before * c);
        if (!flip) std::memcpy(dst, src, inside * c);
        else if (c == 1) std::reverse_copy(src, src + inside, dst);
        else
            for (src += inside * c; dst != out + (before + inside) * c; dst += c) {
                src -= c;
                for (std::size_t i = 0; i != c; ++i) dst[i] = src[i];
            }
        if (after != 0) std::memset(out + (before + inside) * c, 0, after * c);
    }
}

/// The same from pixels to pixels.
inline pixels crop_flip(pixels const& picture, window part, bool flip) {
    auto out = pixels(part.height, part.width, picture.channels());
    copy_window(picture.data(), picture.shape(), part, flip, out.writable().data());
    return out;
}

/// What happens to one sample: drawn from (seed, pass, sample) alone, crop and flip from keys of their own, so that they never correlate.
class augmentation {
public:
    augmentation() = default;
    explicit augmentation(std::uint64_t key) : crop_(child_key(key, "crop")), flip_(child_key(key, "flip")) {}

    window place(crop const& policy, shape of, std::uint64_t pass, std::uint64_t sample) const {
        auto random = random_stream(crop_, pass, sample);
        return policy(of, random);
    }
    bool mirrored(double probability, std::uint64_t pass, std::uint64_t sample) const {
        return probability > 0 && random_stream(flip_, pass, sample).chance(probability);
    }

private:
    std::uint64_t crop_ = 0, flip_ = 0;
};

}  // namespace penstock::image
