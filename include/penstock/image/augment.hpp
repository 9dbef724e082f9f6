// Implements: crop policies and augmentation, which decide the geometry of a sample from the picture's shape and the sample's key alone.
#pragma once

#include <penstock/core/errors.hpp>          // defines: config_error, message
#include <penstock/core/random.hpp>          // defines: random_stream, child_key
#include <penstock/image/codec_options.hpp>  // defines: undecodable
#include <penstock/image/geometry.hpp>       // defines: geometry, box
#include <penstock/image/pixels.hpp>         // defines: shape

#include <concepts>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

namespace penstock::image {

/// The whole picture.
struct no_crop {
    geometry operator()(shape of, random_stream&) const { return geometry(of); }
};

/// The middle; a smaller picture gets a zero margin. Halves are rounded to even, as torchvision's CenterCrop does.
struct center_crop_policy {
    std::uint32_t height, width;

    geometry operator()(shape of, random_stream&) const { return box{middle(of.height, height), middle(of.width, width), height, width}; }

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

    geometry operator()(shape of, random_stream& random) const {
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
        return box{top, std::int64_t{random.below(columns)} - padding, height, width};
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

/// Which part of a picture becomes the sample: a policy of this header, or any function of the user's from (shape, random_stream&) to a geometry or
/// a box. All its randomness comes from the stream, which belongs to (seed, pass, sample).
class crop {
public:
    crop() = default;
    template <class P>
        requires(!std::same_as<std::remove_cvref_t<P>, crop>) && std::is_invocable_r_v<geometry, P&, image::shape, random_stream&>
    crop(P policy) : policy_(make(std::move(policy))) {}

    geometry operator()(shape of, random_stream& random) const {
        return std::visit([&](auto const& p) -> geometry { return p(of, random); }, policy_);
    }

private:
    using known = std::variant<no_crop, center_crop_policy, random_crop_policy>;
    using any = std::variant<no_crop, center_crop_policy, random_crop_policy, std::function<geometry(shape, random_stream&)>>;
    template <class P>
    static any make(P policy) {
        if constexpr (std::is_constructible_v<known, P>) return policy;
        else return std::function<geometry(shape, random_stream&)>(std::move(policy));
    }
    any policy_;
};

/// What happens to one sample: drawn from (seed, pass, sample) alone, crop and flip from keys of their own, so that they never correlate.
class augmentation {
public:
    augmentation() = default;
    explicit augmentation(std::uint64_t key) : crop_(child_key(key, "crop")), flip_(child_key(key, "flip")) {}

    /// What `policy` says of a picture of that shape, mirrored (once more) with probability `flip`.
    geometry operator()(crop const& policy, double flip, shape of, std::uint64_t pass, std::uint64_t sample) const {
        auto random = random_stream(crop_, pass, sample);
        auto out = policy(of, random);
        if (flip > 0 && random_stream(flip_, pass, sample).chance(flip)) out.mirrored = !out.mirrored;
        return out;
    }

private:
    std::uint64_t crop_ = 0, flip_ = 0;
};

}  // namespace penstock::image
