// Implements: column<T>, how the values of one member over a batch become one tensor; the member types that have one.
#pragma once

#include <penstock/core/errors.hpp>       // defines: message
#include <penstock/image/pixels.hpp>      // defines: image::pixels; std only, no codec
#include <penstock/tensor/normalise.hpp>  // defines: normalise, layout

#include <ATen/core/Tensor.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock::tensor {

/// Type and shape of one value, the batch's dimension left out.
struct row {
    at::ScalarType type = at::kFloat;
    std::array<std::int64_t, 8> dims{};
    std::size_t rank = 0;
    bool channels_last = false;  ///< dims are C, H, W, but stored as H, W, C

    std::size_t bytes() const {
        auto n = c10::elementSize(type);
        for (std::size_t i = 0; i != rank; ++i) n *= static_cast<std::size_t>(dims[i]);
        return n;
    }
    std::string text() const {
        auto t = std::string(c10::toString(type)) + " [";
        for (std::size_t i = 0; i != rank; ++i) t += (i ? ", " : "") + std::to_string(dims[i]);
        return t + "]";
    }
    friend bool operator==(row const&, row const&) = default;
};

/// What the user wants pictures to become: without a normalisation bytes [H, W, C], with one floats [C, H, W].
struct look {
    normalise norm{};
    tensor::layout layout = tensor::layout::nchw;
};

/// To be specialised for further types. `of` is the row of a value (all of a batch must agree), `unknown` that of a batch without values,
/// `put` writes a value into its row, which is aligned for its type at best. What they throw becomes a stage_error that names the sample.
/// `fixed = true`: every value has the row `unknown`, so that arrays of them can be columns too.
template <class T>
struct column;

template <class T>
concept has_column = requires(T const& v, look const& l, std::byte* to) {
    { column<T>::of(v, l) } -> std::same_as<row>;
    { column<T>::unknown(l) } -> std::same_as<row>;
    column<T>::put(v, l, to);
};

/// bool as bool, integers and enumerations as int64, float and double as they are.
template <class T>
    requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
struct column<T> {
    static_assert(!std::is_same_v<T, long double>, "no tensor holds long double. HINT: store a double");
    static constexpr bool fixed = true;
    using stored = std::conditional_t<std::is_same_v<T, bool> || std::is_floating_point_v<T>, T, std::int64_t>;

    static row unknown(look const&) { return {c10::CppTypeToScalarType<stored>::value}; }
    static row of(T const&, look const& l) { return unknown(l); }
    static void put(T const& v, look const&, std::byte* to) {
        if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
            if (v > static_cast<T>((std::numeric_limits<std::int64_t>::max)())) throw std::range_error(message(v, " does not fit a signed 64-bit integer"));
        auto const s = static_cast<stored>(v);
        std::memcpy(to, &s, sizeof s);
    }
};

/// N values of the same kind, nested as deep as wanted.
template <has_column T, std::size_t N>
    requires column<T>::fixed
struct column<std::array<T, N>> {
    static constexpr bool fixed = true;
    static row unknown(look const& l) {
        auto r = column<T>::unknown(l);
        for (auto i = r.rank++; i != 0; --i) r.dims[i] = r.dims[i - 1];
        r.dims[0] = static_cast<std::int64_t>(N);
        return r;
    }
    static row of(std::array<T, N> const&, look const& l) { return unknown(l); }
    static void put(std::array<T, N> const& v, look const& l, std::byte* to) {
        auto const step = column<T>::unknown(l).bytes();
        for (auto const& one : v) column<T>::put(one, l, std::exchange(to, to + step));
    }
};

/// A picture: bytes [H, W, C], or normalised floats [C, H, W].
template <>
struct column<image::pixels> {
    static row unknown(look const& l) { return l.norm.active() ? shaped(l, 0, 0, 0) : row{at::kByte, {0, 0, 0}, 3}; }
    static row of(image::pixels const& p, look const& l) {
        if (!l.norm.active()) return {at::kByte, {p.height(), p.width(), p.channels()}, 3};
        if (!l.norm.suits(p.channels()))
            throw std::invalid_argument(message("the picture has ", p.channels(), " channels, mean and std have ", l.norm.channels()));
        return shaped(l, p.height(), p.width(), p.channels());
    }
    static void put(image::pixels const& p, look const& l, std::byte* to) {
        if (p.size() == 0) return;
        if (!l.norm.active()) std::memcpy(to, p.data(), p.size());
        else l.norm(p.data(), std::size_t{p.height()} * p.width(), p.channels(), l.layout, reinterpret_cast<float*>(to));  // rows of floats only: aligned
    }

private:
    static row shaped(look const& l, std::int64_t h, std::int64_t w, std::int64_t c) {
        return {at::kFloat, {c, h, w}, 3, l.layout == layout::channels_last};
    }
};

/// A tensor on the CPU; the batch stacks them.
template <>
struct column<at::Tensor> {
    static row unknown(look const&) { return {}; }
    static row of(at::Tensor const& t, look const&) {
        if (!t.defined()) throw std::invalid_argument("the tensor is undefined");
        if (!t.device().is_cpu()) throw std::invalid_argument(message("the tensor is on ", t.device().str(), ", batches are made on the CPU"));
        row r;
        if (t.dim() > static_cast<std::int64_t>(r.dims.size())) throw std::invalid_argument(message("the tensor has ", t.dim(), " dimensions, at most ", r.dims.size(), " can be stacked"));
        r.type = t.scalar_type();
        r.rank = static_cast<std::size_t>(t.dim());
        for (std::size_t i = 0; i != r.rank; ++i) r.dims[i] = t.size(static_cast<std::int64_t>(i));
        return r;
    }
    static void put(at::Tensor const& t, look const&, std::byte* to) {
        auto const flat = t.detach().contiguous();
        if (flat.nbytes() != 0) std::memcpy(to, flat.const_data_ptr(), flat.nbytes());
    }
};

}  // namespace penstock::tensor
