#include <penstock/train/clip.hpp>

#include "files.hpp"

#include <torch/nn/utils/clip_grad.h>

#include <limits>
#include <vector>

#include <support/catch.hpp>

namespace train = penstock::train;

namespace {

train::tensors some_grads(at::ScalarType type = at::kFloat) {
    at::manual_seed(3);
    return {at::randn({4, 5}).to(type), at::randn({7}).to(type), at::randn({2, 3, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast).to(type)};
}

train::tensors params_with(train::tensors const& grads) {
    train::tensors out;
    for (auto const& g : grads) {
        out.push_back(at::zeros_like(g).requires_grad_());
        out.back().mutable_grad() = g.clone();
    }
    return out;
}

}  // namespace

TEST_CASE("clip_norm: equals clip_grad_norm_", "[unit][clip]") {
    auto const max_norm = GENERATE(0.5, 3.0, 1000.0);
    auto const grads = some_grads();
    auto const params = params_with(grads);
    auto const theirs = torch::nn::utils::clip_grad_norm_(params, max_norm);
    auto const ours = train::clip_norm(grads, max_norm);
    CHECK(ours.dim() == 0);
    CHECK(ours.item<double>() == Approx(theirs).epsilon(1e-6));
    for (std::size_t i = 0; i < grads.size(); ++i) CHECK((grads[i] - params[i].grad()).abs().max().item<double>() <= 1e-6);
}

TEST_CASE("clip_norm: several types, empty and undefined gradients, none", "[unit][clip]") {
    auto a = at::full({4}, 3.0, at::kDouble), b = at::full({4}, 4.0, at::kBFloat16), e = at::zeros({0});
    auto const norm = train::clip_norm({a, at::Tensor{}, e, b}, 5.0);
    CHECK(norm.item<double>() == Approx(10));
    CHECK(a[0].item<double>() == Approx(1.5));
    CHECK(b[0].item<double>() == Approx(2.0));
    CHECK(b.scalar_type() == at::kBFloat16);
    CHECK(train::clip_norm({}, 1.0).item<double>() == 0);
    CHECK(train::clip_norm({at::zeros({3})}, 1.0).item<double>() == 0);
    auto c = at::full({4}, 3.0);
    CHECK(train::clip_norm({c}, std::numeric_limits<double>::infinity()).item<double>() == Approx(6));
    CHECK(c[0].item<double>() == 3.0);
}

TEST_CASE("clip_norm: a norm that is not finite becomes found_inf", "[unit][clip]") {
    auto g = at::ones({3});
    g[1] = std::numeric_limits<double>::infinity();
    auto const flag = train::not_finite(train::clip_norm({g}, 1.0));
    CHECK(flag.scalar_type() == at::kFloat);
    CHECK(flag.item<float>() == 1.0f);
    CHECK(train::not_finite(at::scalar_tensor(2.0)).item<float>() == 0.0f);
    CHECK(train::not_finite(at::scalar_tensor(std::nan(""))).item<float>() == 1.0f);
}

TEST_CASE("clip_value: clamps in place; bounds are checked", "[unit][clip]") {
    auto g = at::tensor({-3.0, 0.5, 9.0});
    train::clip_value({g}, 1.0);
    CHECK(at::equal(g, at::tensor({-1.0, 0.5, 1.0})));
    CHECK(test::has(test::error_of<penstock::config_error>([&] { train::clip_norm({g}, 0); }), "got 0"));
    CHECK(test::has(test::error_of<penstock::config_error>([&] { train::clip_value({g}, -1); }), "got -1"));
}
