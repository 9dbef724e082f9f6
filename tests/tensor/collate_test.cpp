#include <penstock/tensor/collate.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace tensor = penstock::tensor;
using ps::image::pixels;

namespace user {
template <class Image, class Label>
struct example {
    Image image;
    Label label;
};
template <class... M>
struct any;  // never an aggregate
template <class A, class B, class C, class D, class E, class F, class G, class H>
struct eight {
    A a;
    B b;
    C c;
    D d;
    E e;
    F f;
    G g;
    H h;
};
enum class colour : std::uint8_t { red, green = 7 };

/// Text of different lengths: padded by the user's own collate.
struct words {
    std::vector<int> ids;
};
struct padded {
    at::Tensor ids;
    at::Tensor lengths;
};
padded collate(ps::batch_of<words> const& b) {
    std::int64_t longest = 0;
    for (auto const& w : b.items) longest = (std::max)(longest, static_cast<std::int64_t>(w.ids.size()));
    padded p{at::full({static_cast<std::int64_t>(b.size()), longest}, 0, at::kInt), at::full({static_cast<std::int64_t>(b.size())}, 0, at::kLong)};
    for (std::size_t i = 0; i != b.size(); ++i) p.lengths[static_cast<std::int64_t>(i)] = static_cast<std::int64_t>(b.items[i].ids.size());
    return p;
}
}  // namespace user

namespace {
pixels picture(std::uint32_t h, std::uint32_t w, std::uint32_t c, int first) {
    pixels p(h, w, c);
    for (auto& v : p.writable()) v = static_cast<std::uint8_t>(first++);
    return p;
}
template <class T>
ps::batch_of<T> batch(std::vector<T> items) {
    ps::batch_of<T> b;
    b.items = std::move(items);
    for (std::size_t i = 0; i != b.items.size(); ++i) b.ids.push_back(100 + i);
    return b;
}
template <class T>
std::string error_of(std::vector<T> items, tensor::look look = {}) {
    try {
        tensor::collator<T> make(std::move(look));
        (void)make(batch(std::move(items)));
    } catch (ps::stage_error const& e) {
        return e.what();
    }
    return "nothing thrown";
}
}  // namespace

static_assert(std::is_same_v<tensor::collated<user::example<pixels, int>>, user::example<at::Tensor, at::Tensor>>);
static_assert(std::is_same_v<tensor::collated<user::words>, user::padded>);
static_assert(std::is_same_v<tensor::collated<std::pair<float, int>>, std::pair<at::Tensor, at::Tensor>>);
static_assert(!tensor::collatable<std::string>);
static_assert(!tensor::collatable<std::vector<float>>);
static_assert(!tensor::collatable<user::example<pixels, std::string>>);

TEST_CASE("collate: pictures and labels", "[unit][collate]") {
    tensor::collator<user::example<pixels, int>> make;
    auto const t = make(batch(std::vector{user::example{picture(2, 3, 3, 0), 4}, user::example{picture(2, 3, 3, 18), -5}}));
    CHECK(t.image.sizes() == at::IntArrayRef({2, 2, 3, 3}));
    CHECK(t.image.is_contiguous());
    CHECK(at::equal(t.image, at::arange(36, at::kByte).reshape({2, 2, 3, 3})));
    CHECK(t.label.scalar_type() == at::kLong);
    CHECK(t.label.sizes() == at::IntArrayRef({2}));
    CHECK(t.label[1].item<std::int64_t>() == -5);
    for (auto const& one : {t.image, t.label}) CHECK(reinterpret_cast<std::uintptr_t>(one.const_data_ptr()) % 64 == 0);
}

TEST_CASE("collate: every member type", "[unit][collate]") {
    using arrays = std::array<std::array<float, 2>, 3>;
    using item = user::eight<bool, std::uint8_t, std::uint64_t, user::colour, float, double, arrays, at::Tensor>;
    tensor::collator<item> make;
    auto const t = make(batch(std::vector<item>{{true, 200, 5, user::colour::green, 0.5f, 0.25, {{{1, 2}, {3, 4}, {5, 6}}}, at::arange(4).reshape({2, 2}).t()},
                                                {false, 1, 6, user::colour::red, -1.f, 1e300, {}, at::arange(4).reshape({2, 2})}}));
    CHECK(t.a.scalar_type() == at::kBool);
    CHECK(t.a[0].item<bool>());
    CHECK_FALSE(t.a[1].item<bool>());
    CHECK(t.b[0].item<std::int64_t>() == 200);
    CHECK(t.c[1].item<std::int64_t>() == 6);
    CHECK(t.d[0].item<std::int64_t>() == 7);
    CHECK(t.e.scalar_type() == at::kFloat);
    CHECK(t.e[0].item<float>() == 0.5f);
    CHECK(t.f.scalar_type() == at::kDouble);
    CHECK(t.f[1].item<double>() == 1e300);
    CHECK(t.g.sizes() == at::IntArrayRef({2, 3, 2}));
    CHECK(t.g[0][2][1].item<float>() == 6);
    CHECK(t.h.sizes() == at::IntArrayRef({2, 2, 2}));
    CHECK(t.h[0][0][1].item<std::int64_t>() == 2);  // the transposed one was copied by value, not by memory
}

TEST_CASE("collate: a bare value, one member, a pair", "[unit][collate]") {
    CHECK(tensor::collator<std::int16_t>()(batch(std::vector<std::int16_t>{1, 2, 3})).data.sizes() == at::IntArrayRef({3}));
    CHECK(tensor::collator<pixels>()(batch(std::vector{picture(1, 2, 1, 0)})).data.sizes() == at::IntArrayRef({1, 1, 2, 1}));
    auto const t = tensor::collator<std::pair<float, int>>()(batch(std::vector{std::pair{0.5f, 1}, std::pair{1.5f, 2}}));
    CHECK(t.first[1].item<float>() == 1.5f);
    CHECK(t.second[1].item<std::int64_t>() == 2);
}

TEST_CASE("collate: the user's own function wins", "[unit][collate]") {
    tensor::collator<user::words> make;
    auto const t = make(batch(std::vector<user::words>{{{1, 2, 3}}, {{4}}}));
    CHECK(t.ids.sizes() == at::IntArrayRef({2, 3}));
    CHECK(t.lengths[1].item<std::int64_t>() == 1);
}

TEST_CASE("collate: normalised pictures in both layouts", "[unit][collate]") {
    auto const items = std::vector{user::example{picture(2, 2, 3, 0), 1}, user::example{picture(2, 2, 3, 100), 2}};
    auto const make = [&](tensor::layout as) {
        return tensor::collator<user::example<pixels, int>>(tensor::look{tensor::normalise("test", {0.5}, {0.25}), as})(batch(items)).image;
    };
    auto const planes = make(tensor::layout::nchw), last = make(tensor::layout::channels_last);
    CHECK(planes.sizes() == at::IntArrayRef({2, 3, 2, 2}));
    CHECK(planes.is_contiguous());
    CHECK(last.sizes() == planes.sizes());
    CHECK(last.is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(at::equal(planes, last));
    CHECK(planes[1][2][0][1].item<float>() == static_cast<float>((105 / 255.0 - 0.5) / 0.25));
}

TEST_CASE("collate: items that do not fit together are named with their samples", "[unit][collate]") {
    using item = user::example<pixels, int>;
    auto const text = error_of(std::vector<item>{{picture(4, 4, 3, 0), 0}, {picture(4, 4, 3, 0), 0}, {picture(4, 5, 3, 0), 0}});
    CHECK(text.find("id 102") != text.npos);
    CHECK(text.find("[4, 5, 3]") != text.npos);
    CHECK(text.find("[4, 4, 3]") != text.npos);
    CHECK(text.find("id 100") != text.npos);
    CHECK(text.find("HINT: crop or resize") != text.npos);

    CHECK(error_of(std::vector{at::arange(2), at::arange(3)}).find("Long [3]") != text.npos);
    CHECK(error_of(std::vector{at::arange(2), at::arange(2, at::kFloat)}).find("Float [2]") != text.npos);
    CHECK(error_of(std::vector{at::arange(2), at::Tensor()}).find("id 101): the tensor is undefined") != text.npos);
    CHECK(error_of(std::vector<std::uint64_t>{1, std::numeric_limits<std::uint64_t>::max()}).find("id 101): 18446744073709551615 does not fit") != text.npos);
    auto const grey = error_of(std::vector{picture(2, 2, 1, 0)}, tensor::look{tensor::normalise("test", {0, 0, 0}, {1, 1, 1})});
    CHECK(grey.find("1 channels, mean and std have 3") != text.npos);
}

TEST_CASE("collate: goes on after an error", "[unit][collate]") {
    tensor::collator<pixels> make;
    CHECK_THROWS_AS(make(batch(std::vector{picture(1, 1, 1, 0), picture(2, 1, 1, 0)})), ps::stage_error);
    CHECK(make(batch(std::vector{picture(2, 1, 1, 7)})).data[0][1][0][0].item<int>() == 8);
}

TEST_CASE("collate: an empty batch has the shapes of the one before", "[unit][collate]") {
    using item = user::example<pixels, int>;
    tensor::collator<item> make;
    auto const first = make(batch<item>({}));
    CHECK(first.image.sizes() == at::IntArrayRef({0, 0, 0, 0}));
    CHECK(first.image.scalar_type() == at::kByte);
    CHECK(first.label.sizes() == at::IntArrayRef({0}));
    (void)make(batch(std::vector<item>{{picture(2, 3, 3, 0), 4}}));
    auto const later = make(batch<item>({}));
    CHECK(later.image.sizes() == at::IntArrayRef({0, 2, 3, 3}));
    CHECK(later.label.scalar_type() == at::kLong);
    tensor::collator<item> floats(tensor::look{tensor::normalise("test", {0}, {1}), tensor::layout::channels_last});
    (void)floats(batch(std::vector<item>{{picture(2, 3, 1, 0), 4}}));
    CHECK(floats(batch<item>({})).image.sizes() == at::IntArrayRef({0, 1, 2, 3}));
}

TEST_CASE("collate: slabs are allocated once; tensors that are kept are never written again and outlive the collator", "[unit][collate]") {
    using item = user::example<pixels, int>;
    auto make = std::make_optional<tensor::collator<item>>();
    auto const round = [&](int first) { return (*make)(batch(std::vector<item>{{picture(8, 8, 3, first), first}, {picture(8, 8, 3, first), first}})); };
    {
        auto a = round(0), b = round(1);
    }
    CHECK(make->slabs_made() == 2);
    for (int i = 0; i != 50; ++i) {
        auto a = round(i), b = round(i + 1);
        CHECK(a.image[0][0][0][0].item<int>() == i);
    }
    (void)(*make)(batch(std::vector<item>{{picture(8, 8, 3, 0), 0}}));  // a short one fits too
    CHECK(make->slabs_made() == 2);

    auto kept = std::make_optional(round(42).image[1]);  // a view of one member keeps the slab
    for (int i = 0; i != 10; ++i) (void)round(i);
    CHECK(make->slabs_made() == 2);
    make.reset();
    CHECK((*kept)[0][0][0].item<int>() == 42);
    kept.reset();
}
