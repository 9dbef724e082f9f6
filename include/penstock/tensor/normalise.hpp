// Implements: normalise, 8-bit samples to floats by mean and standard deviation per channel, and the layouts it writes.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::tensor {

enum class layout {
    nchw,           ///< [B, C, H, W], each channel a plane
    channels_last,  ///< [B, C, H, W] too, but stored as pixels (NHWC strides)
};

/// (v / 255 - mean) / std of each channel, computed in double and rounded to float once: a table of 256 values per channel, so the bits are
/// the same on every machine. One channel given stands for all.
class normalise {
public:
    normalise() = default;
    /// `who` is the call to name in a config_error. An empty mean is 0, an empty std is 1.
    normalise(std::string_view who, std::vector<double> mean, std::vector<double> std_) {
        auto const channels = (std::max)(mean.size(), std_.size());
        if (mean.empty()) mean.assign(channels, 0);
        if (std_.empty()) std_.assign(channels, 1);
        if (mean.size() != std_.size())
            throw config_error(message(who, ": mean and std must have one value per channel each, got ", mean.size(), " and ", std_.size(), "\n  HINT: give three of each for RGB, or one for all channels"));
        for (std::size_t c = 0; c != channels; ++c) {
            if (!std::isfinite(mean[c])) throw config_error(message(who, ": mean must be finite, got ", mean[c], "\n  HINT: it is in units of the full range: 0.485, not 124"));
            if (!std::isfinite(std_[c]) || std_[c] <= 0) throw config_error(message(who, ": std must be > 0, got ", std_[c], "\n  HINT: leave it out to divide by 255 only"));
            auto& table = tables_.emplace_back();
            for (std::size_t v = 0; v != 256; ++v) table[v] = static_cast<float>((static_cast<double>(v) / 255 - mean[c]) / std_[c]);
        }
    }

    bool active() const { return !tables_.empty(); }
    std::size_t channels() const { return tables_.size(); }
    bool suits(std::size_t picture_channels) const { return tables_.size() == 1 || tables_.size() == picture_channels; }

    /// One picture of `area` pixels from HWC bytes. What suits(channels) refuses must not come here.
    void operator()(std::uint8_t const* from, std::size_t area, std::size_t channels, layout as, float* to) const {
        if (as == layout::nchw)
            for (std::size_t c = 0; c != channels; ++c) spread(table(c), from + c, area, channels, to + c * area, 1);
        else
            for (std::size_t c = 0; c != channels; ++c) spread(table(c), from + c, area, channels, to + c, channels);
    }

private:
    using lookup = std::array<float, 256>;
    lookup const& table(std::size_t channel) const { return tables_[tables_.size() == 1 ? 0 : channel]; }
    static void spread(lookup const& t, std::uint8_t const* from, std::size_t n, std::size_t from_step, float* to, std::size_t to_step) {
        for (std::size_t i = 0; i != n; ++i) to[i * to_step] = t[from[i * from_step]];
    }

    std::vector<lookup> tables_;
};

}  // namespace penstock::tensor
