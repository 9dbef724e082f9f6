// Implements: collator<T>, batch_of<T> on the host to a struct of tensors in one slab; collated<T>, the type of that struct.
#pragma once

#include <penstock/core/batch_type.hpp>   // defines: batch_of
#include <penstock/core/errors.hpp>       // defines: stage_error, fault, place, message
#include <penstock/tensor/column.hpp>     // defines: column, row, look
#include <penstock/tensor/slab_pool.hpp>  // defines: slab_pool

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace penstock::detail {

/// Whether the user's own collate(batch_of<T> const&) is found by argument-dependent lookup. Nothing in this namespace may have that name.
template <class T>
concept collated_by_user = requires(batch_of<T> const& b) { collate(b); };
template <collated_by_user T>
auto user_collate(batch_of<T> const& b) {
    return collate(b);
}

}  // namespace penstock::detail

namespace penstock::tensor {

/// What a batch of items without members becomes.
struct single {
    at::Tensor data;
};

namespace detail {

struct anything {
    template <class T>
    operator T() const;
};
/// Whether Item is an aggregate, a pair or a tuple whose members are of the types A..., in that order.
template <class Item, class... A>
consteval bool members_are() {
    if constexpr (requires { std::tuple_size<Item>::value; }) return std::is_same_v<Item, std::pair<A...>> || std::is_same_v<Item, std::tuple<A...>>;
    else if constexpr (!std::is_aggregate_v<Item>) return false;
    else return requires { Item{std::declval<A>()...}; } && !requires { Item{std::declval<A>()..., anything{}}; };
}
template <class T>
struct parts {
    static constexpr std::size_t count = 0;  // the item is one column itself
    using type = single;
};
/// E<A...> whose members are of the types A..., in that order.
template <template <class...> class E, class... A>
struct parts<E<A...>> {
    static constexpr std::size_t count = members_are<E<A...>, A...>() ? sizeof...(A) : 0;
    template <bool Struct>
    struct rebound {
        using type = single;
    };
    template <class>
    using tensor_for = at::Tensor;
    template <bool Struct>
        requires Struct
    struct rebound<Struct> {
        using type = E<tensor_for<A>...>;
    };
    using type = typename rebound<count != 0>::type;
};
template <class A, class B>
struct parts<std::pair<A, B>> {
    static constexpr std::size_t count = 2;
    using type = std::pair<at::Tensor, at::Tensor>;
};

/// The members of v as a tuple of references.
template <std::size_t N, class T>
auto members(T const& v) {
    if constexpr (N == 0) return std::tie(v);
    else if constexpr (N == 1) {
        auto const& [a] = v;
        return std::tie(a);
    } else if constexpr (N == 2) {
        auto const& [a, b] = v;
        return std::tie(a, b);
    } else if constexpr (N == 3) {
        auto const& [a, b, c] = v;
        return std::tie(a, b, c);
    } else if constexpr (N == 4) {
        auto const& [a, b, c, d] = v;
        return std::tie(a, b, c, d);
    } else if constexpr (N == 5) {
        auto const& [a, b, c, d, e] = v;
        return std::tie(a, b, c, d, e);
    } else if constexpr (N == 6) {
        auto const& [a, b, c, d, e, f] = v;
        return std::tie(a, b, c, d, e, f);
    } else if constexpr (N == 7) {
        auto const& [a, b, c, d, e, f, g] = v;
        return std::tie(a, b, c, d, e, f, g);
    } else {
        auto const& [a, b, c, d, e, f, g, h] = v;
        return std::tie(a, b, c, d, e, f, g, h);
    }
}
template <class T>
inline constexpr std::size_t column_count = parts<T>::count == 0 ? 1 : parts<T>::count;
template <class T, std::size_t K>
using member_type = std::remove_cvref_t<std::tuple_element_t<K, decltype(members<parts<T>::count>(std::declval<T const&>()))>>;

template <class T>
consteval bool all_have_columns() {
    if constexpr (parts<T>::count > 8) return false;
    else return []<std::size_t... K>(std::index_sequence<K...>) { return (has_column<member_type<T, K>> && ...); }(std::make_index_sequence<column_count<T>>{});
}

}  // namespace detail

/// Whether a batch_of<T> can become tensors: T is an aggregate class template over its members' types, or a single value of such a type, or
/// comes with a function collate(batch_of<T> const&) in its own namespace.
template <class T>
concept collatable = penstock::detail::collated_by_user<T> || detail::all_have_columns<T>();

/// Makes tensors of batches. Each batch lies in one slab, which the tensors hold by their deleters and give back when the last one goes.
/// One thread at a time. T's own collate wins; its tensors are its own affair.
template <collatable T>
class collator {
public:
    explicit collator(look l = {}) : look_(std::move(l)) {
        if constexpr (!by_user)
            each([&]<std::size_t K>(index<K>) { rows_[K] = column<detail::member_type<T, K>>::unknown(look_); });
    }

    /// Empty batches have the shapes of the batch before, [0, ...]; the sizes that no batch has shown yet are 0.
    auto operator()(batch_of<T> const& b) {
        if constexpr (by_user) return penstock::detail::user_collate(b);
        else {
            if (!b.empty()) measure(b);
            auto offsets = std::array<std::size_t, count>{};
            std::size_t bytes = 0;
            for (std::size_t k = 0; k != count; ++k) bytes = (offsets[k] = (bytes + 63) / 64 * 64) + b.size() * rows_[k].bytes();
            auto const slab = b.empty() ? slab_pool::lease{} : slabs_.take(bytes);
            each([&]<std::size_t K>(index<K>) {
                auto* to = slab.get() + offsets[K];
                auto const step = rows_[K].bytes();
                for (std::size_t i = 0; i != b.size(); ++i, to += step)
                    named(b, i, [&] { column<detail::member_type<T, K>>::put(std::get<K>(members(b.items[i])), look_, to); });
            });
            bytes_ += bytes;
            return [&]<std::size_t... K>(std::index_sequence<K...>) {
                return typename detail::parts<T>::type{tensor(rows_[K], b.size(), slab, offsets[K])...};
            }(std::make_index_sequence<count>{});
        }
    }

    std::size_t slabs_made() const { return slabs_.made(); }
    std::uint64_t bytes() const { return bytes_; }  ///< written so far

private:
    static constexpr bool by_user = penstock::detail::collated_by_user<T>;
    static constexpr std::size_t count = [] {
        if constexpr (by_user) return 1;
        else return detail::column_count<T>;
    }();
    template <std::size_t K>
    using index = std::integral_constant<std::size_t, K>;

    template <class F>
    static void each(F f) {
        [&]<std::size_t... K>(std::index_sequence<K...>) { (f(index<K>{}), ...); }(std::make_index_sequence<count>{});
    }
    static auto members(T const& v) { return detail::members<detail::parts<T>::count>(v); }

    /// Sets rows_ to what this batch has; all its items must have the same.
    void measure(batch_of<T> const& b) {
        each([&]<std::size_t K>(index<K>) {
            using member = detail::member_type<T, K>;
            auto const row_of = [&](std::size_t i) {
                row r;
                named(b, i, [&] { r = column<member>::of(std::get<K>(members(b.items[i])), look_); });
                return r;
            };
            rows_[K] = row_of(0);
            for (std::size_t i = 1; i != b.size(); ++i)
                if (auto const r = row_of(i); r != rows_[K])
                    throw stage_error("collate", fault::content, where(b, i),
                                      message("member ", K + 1, " of the item is ", r.text(), ", and ", rows_[K].text(), " in the first item of its batch", b.ids.empty() ? "" : message(" (id ", b.ids[0], ")")),
                                      "crop or resize to one size before batch");
        });
    }
    static place where(batch_of<T> const& b, std::size_t item) {
        place p;
        if (item < b.ids.size()) p.sample = b.ids[item];
        return p;
    }
    /// Runs f for item i; what it throws becomes an error that names the sample.
    template <class F>
    static void named(batch_of<T> const& b, std::size_t i, F f) {
        try {
            f();
        } catch (std::bad_alloc const&) {
            throw;
        } catch (std::exception const& e) {
            std::throw_with_nested(stage_error("collate", fault::content, where(b, i), e.what()));
        }
    }

    static at::Tensor tensor(row const& r, std::size_t items, slab_pool::lease const& slab, std::size_t offset) {
        std::array<std::int64_t, 9> sizes{static_cast<std::int64_t>(items)}, strides{};
        for (std::size_t i = 0; i != r.rank; ++i) sizes[i + 1] = r.dims[i];
        std::int64_t step = 1;
        auto const stride_of = [&](std::size_t d) {
            strides[d] = step;
            step *= sizes[d];
        };
        if (r.channels_last) stride_of(1);
        for (auto d = r.rank; d != (r.channels_last ? 1 : 0); --d) stride_of(d);
        stride_of(0);
        auto const shape = c10::IntArrayRef(sizes.data(), r.rank + 1);
        auto const options = at::TensorOptions().dtype(r.type);
        if (!slab) return at::empty(shape, options);
        return at::from_blob(slab.get() + offset, shape, c10::IntArrayRef(strides.data(), r.rank + 1), [slab](void*) noexcept {}, options);
    }

    look look_;
    slab_pool slabs_;
    std::array<row, count> rows_{};
    std::uint64_t bytes_ = 0;
};

/// The struct of tensors that a batch_of<T> becomes.
template <collatable T>
using collated = decltype(std::declval<collator<T>&>()(std::declval<batch_of<T> const&>()));

}  // namespace penstock::tensor
