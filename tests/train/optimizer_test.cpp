#include <penstock/train/optimizer.hpp>

#include "files.hpp"

#include <torch/nn.h>
#include <torch/optim.h>

#include <functional>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace train = penstock::train;
using test::error_of;
using test::has;

namespace {

struct net_impl : torch::nn::Module {
    net_impl() {
        conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 4, 3)));
        norm = register_module("norm", torch::nn::BatchNorm2d(4));
        head = register_module("head", torch::nn::Linear(4, 3));
        again = register_module("again", head);  // shared: its tensors are listed twice
    }
    at::Tensor forward(at::Tensor const& x) { return again->forward(head->weight.t().mm(head->forward(norm(conv(x)).mean({2, 3})).t()).t()); }
    torch::nn::Conv2d conv{nullptr};
    torch::nn::BatchNorm2d norm{nullptr};
    torch::nn::Linear head{nullptr}, again{nullptr};
};
TORCH_MODULE_IMPL(net, net_impl);

net make_net(std::int64_t seed = 5) {
    torch::manual_seed(static_cast<std::uint64_t>(seed));
    return net();
}

void backward(net& n, int step) {
    torch::manual_seed(static_cast<std::uint64_t>(1000 + step));
    n->forward(torch::randn({6, 2, 8, 8})).square().mean().backward();
}

double difference(train::named_tensors const& a, train::named_tensors const& b) {
    double most = a.size() == b.size() ? 0 : 1e9;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) most = (std::max)(most, (a[i].second - b[i].second).abs().max().item<double>());
    return most;
}

train::named_tensors copies(train::named_tensors const& all) {
    train::named_tensors out;
    for (auto const& [name, t] : all) out.emplace_back(name, t.detach().clone());
    return out;
}

/// Both get the gradients of `b`: Adam turns the rounding noise of a gradient that is zero (a bias before a norm) into whole steps.
template <class Ours, class Theirs> double gap_after_20(net& a, Ours& ours, net& b, Theirs& theirs) {
    for (int s = 0; s < 20; ++s) {
        theirs.zero_grad();
        backward(b, s);
        auto const from = train::parameters_of(b), to = train::parameters_of(a);
        for (std::size_t i = 0; i < to.size(); ++i) at::Tensor(to[i].second).mutable_grad() = from[i].second.grad().clone();
        ours.step(0.01);
        theirs.step();
    }
    return difference(train::parameters_of(a), train::parameters_of(b));
}

}  // namespace

static_assert(train::optimizer<decltype(train::adamw(std::declval<train::named_tensors>()))>);
static_assert(train::optimizer<decltype(train::sgd(std::declval<net>()))>);

TEST_CASE("named: shared modules count once, everything of a model is listed", "[unit][named]") {
    auto n = make_net();
    CHECK(train::parameters_of(n).size() == 6);
    CHECK(train::buffers_of(*n).size() == 3);
    CHECK(train::state_of(n).size() == 2 + 2 + 2 + 2 + 3);
    n->conv->weight.requires_grad_(false);
    CHECK(train::parameters_of(n).size() == 5);
    CHECK(train::state_of(n).size() == 11);
}

TEST_CASE("adamw: 20 steps equal torch::optim::AdamW", "[unit][optimizer]") {
    auto a = make_net(), b = make_net();
    auto ours = train::adamw(a, {.lr = 0.01, .weight_decay = 0.1, .decay_1d = true});
    std::vector<at::Tensor> distinct;
    for (auto const& [name, p] : train::parameters_of(b)) distinct.push_back(p);
    torch::optim::AdamW theirs(distinct, torch::optim::AdamWOptions(0.01).weight_decay(0.1));
    CHECK(gap_after_20(a, ours, b, theirs) <= 1e-6);
    CHECK(difference(train::parameters_of(a), train::parameters_of(make_net())) > 0.05);
}

TEST_CASE("adamw: norms and biases do not decay by default", "[unit][optimizer]") {
    auto a = make_net(), b = make_net();
    auto ours = train::adamw(a, {.lr = 0.01, .weight_decay = 0.1});
    std::vector<at::Tensor> decay, plain;
    for (auto const& [name, p] : train::parameters_of(b)) (p.dim() >= 2 ? decay : plain).push_back(p);
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(decay, std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(0.01).weight_decay(0.1)));
    groups.emplace_back(plain, std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(0.01).weight_decay(0.0)));
    torch::optim::AdamW theirs(groups, torch::optim::AdamWOptions(0.01));
    CHECK(gap_after_20(a, ours, b, theirs) <= 1e-6);
}

TEST_CASE("sgd: 20 steps equal torch::optim::SGD", "[unit][optimizer]") {
    struct form { double momentum, decay; bool nesterov; };
    auto const f = GENERATE(form{0, 0, false}, form{0.9, 0.01, false}, form{0.9, 0.01, true});
    auto a = make_net(), b = make_net();
    auto ours = train::sgd(a, {.lr = 0.01, .momentum = f.momentum, .weight_decay = f.decay, .nesterov = f.nesterov, .decay_1d = true});
    std::vector<at::Tensor> distinct;
    for (auto const& [name, p] : train::parameters_of(b)) distinct.push_back(p);
    torch::optim::SGD theirs(distinct, torch::optim::SGDOptions(0.01).momentum(f.momentum).weight_decay(f.decay).nesterov(f.nesterov));
    CHECK(gap_after_20(a, ours, b, theirs) <= 1e-6);
}

TEST_CASE("optimizer: a rate on the device equals a number", "[unit][optimizer]") {
    auto a = make_net(), b = make_net();
    auto x = train::adamw(a), y = train::adamw(b);
    for (int s = 0; s < 3; ++s) {
        backward(a, s);
        backward(b, s);
        x.step(0.01);
        y.step(at::scalar_tensor(0.01, at::kDouble));
    }
    CHECK(difference(train::parameters_of(a), train::parameters_of(b)) == 0);
}

TEST_CASE("optimizer: found_inf = 1 changes nothing, not even the count", "[unit][optimizer]") {
    auto a = make_net();
    auto opt = train::adamw(a, {.lr = 0.1});
    backward(a, 0);
    opt.step(0.1);
    auto const before = copies(train::parameters_of(a)), state = copies(opt.state());
    opt.step(0.1, at::ones({}, at::kFloat));
    CHECK(difference(before, train::parameters_of(a)) == 0);
    CHECK(difference(state, opt.state()) == 0);
    opt.step(0.1, at::zeros({}, at::kFloat));
    CHECK(difference(before, train::parameters_of(a)) > 0);
}

TEST_CASE("optimizer: a skipped first sgd step leaves the momentum at zero", "[unit][optimizer]") {
    auto a = make_net(), b = make_net();
    auto x = train::sgd(a, {.lr = 0.1}), y = train::sgd(b, {.lr = 0.1});
    for (int s = 0; s < 3; ++s) {
        x.zero_grad();
        y.zero_grad();
        backward(a, s);
        backward(b, s);
        if (s == 0) x.step(0.1, at::ones({}, at::kFloat));
        else x.step(0.1, at::zeros({}, at::kFloat)), y.step(0.1);
        if (s == 0) CHECK(x.state()[0].second.abs().max().item<double>() == 0);
    }
    CHECK(difference(train::parameters_of(a), train::parameters_of(b)) <= 1e-7);
}

TEST_CASE("optimizer: zero_grad keeps gradients that are views", "[unit][optimizer]") {
    auto w = at::ones({2, 3}).requires_grad_();
    auto opt = train::sgd(train::named_tensors{{"w", w}});
    auto bucket = at::ones({10});
    w.mutable_grad() = bucket.narrow(0, 2, 6).view({2, 3});
    auto const* address = w.grad().const_data_ptr();
    opt.zero_grad();
    CHECK(w.grad().const_data_ptr() == address);
    CHECK(bucket.sum().item<double>() == 4);
}

TEST_CASE("optimizer: parameters without a gradient are left alone", "[unit][optimizer]") {
    auto w = at::ones({2, 2}).requires_grad_(), u = at::ones({2, 2}).requires_grad_();
    auto opt = train::adamw(train::named_tensors{{"w", w}, {"u", u}});
    w.mutable_grad() = at::ones({2, 2});
    opt.step(0.1, at::zeros({}, at::kFloat));
    CHECK(u.equal(at::ones({2, 2})));
    CHECK(w[0][0].item<double>() < 0.95);
    for (auto const& [name, t] : opt.state())
        if (name == "u.step" || name == "w.step") CHECK(t.item<double>() == (name == "w.step" ? 1 : 0));
    CHECK(opt.gradients().size() == 1);
}

TEST_CASE("optimizer: a gradient laid out otherwise than its parameter is still right", "[unit][optimizer]") {
    auto make = [] { return at::arange(24, at::kFloat).reshape({1, 2, 3, 4}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(); };
    auto w = make(), v = make();
    auto const grad = at::arange(24, at::kFloat).reshape({1, 2, 3, 4}).sub(11.5);
    auto x = train::sgd(train::named_tensors{{"w", w}}, {.momentum = 0}), y = train::sgd(train::named_tensors{{"w", v}}, {.momentum = 0});
    w.mutable_grad() = grad;
    v.mutable_grad() = grad.contiguous(at::MemoryFormat::ChannelsLast);
    x.step(0.1);
    y.step(0.1);
    CHECK(at::equal(w, v));
    CHECK(at::allclose(w.detach(), make().detach() - 0.1 * grad));
}

TEST_CASE("optimizer: types in one model are grouped", "[unit][optimizer]") {
    auto w = at::ones({2, 2}).requires_grad_(), d = at::ones({2, 2}, at::kDouble).requires_grad_(), h = at::ones({2, 2}, at::kBFloat16).requires_grad_();
    auto opt = train::adamw(train::named_tensors{{"w", w}, {"d", d}, {"h", h}}, {.lr = 0.5, .weight_decay = 0});
    (w.sum() + d.sum() + h.sum()).backward();
    opt.step(0.5);
    CHECK(w[0][0].item<double>() == Approx(0.5));
    CHECK(d[0][0].item<double>() == Approx(0.5));
    CHECK(h[0][0].item<double>() == Approx(0.5));
    opt.zero_grad();
    CHECK(h.grad().abs().sum().item<double>() == 0);
}

TEST_CASE("optimizer: state is saved by name and continues exactly", "[unit][optimizer]") {
    auto a = make_net(), b = make_net(), c = make_net(99);
    auto x = train::adamw(a, {.lr = 0.01});
    for (int s = 0; s < 3; ++s) backward(a, s), x.step(0.01);
    auto const weights = copies(train::state_of(a)), state = copies(x.state());
    auto y = train::adamw(c, {.lr = 0.01});
    train::restore(weights, train::state_of(c), "model");
    y.load(state);
    for (int s = 3; s < 6; ++s) {
        x.zero_grad(), y.zero_grad();
        backward(a, s), x.step(0.01);
        backward(c, s), y.step(0.01);
    }
    CHECK(difference(train::parameters_of(a), train::parameters_of(c)) == 0);
}

TEST_CASE("restore: names the first difference and changes nothing", "[unit][optimizer]") {
    auto a = make_net(), b = make_net(7);
    auto const weights = copies(train::state_of(a)), before = copies(train::state_of(b));
    auto refusal = [&](train::named_tensors saved) {
        return error_of<penstock::state_error>([&] { train::restore(saved, train::state_of(b), "model"); });
    };
    auto less = weights;
    less.erase(less.begin() + 3);
    CHECK(has(refusal(less), "'" + weights[3].first + "': is not in the checkpoint"));
    auto more = weights;
    more.emplace_back("extra", at::ones(1));
    CHECK(has(refusal(more), "'extra': is in the checkpoint and nowhere else"));
    auto shape = weights;
    shape.back().second = at::ones({2, 2}, at::kLong);
    CHECK(has(refusal(shape), "shape must be"));
    auto type = weights;
    type[0].second = type[0].second.to(at::kDouble);
    CHECK(has(refusal(type), "type must be"));
    CHECK(has(refusal(type), "HINT"));
    CHECK(difference(before, train::state_of(b)) == 0);
}

TEST_CASE("optimizer: bad arguments are named", "[unit][optimizer]") {
    auto const w = at::ones({2, 2}).requires_grad_();
    train::named_tensors const one{{"w", w}};
    auto text = [](std::function<void()> f) { return error_of<penstock::config_error>(f); };
    CHECK(has(text([&] { (void)train::adamw(one, {.lr = -1}); }), "lr is out of range, got -1"));
    CHECK(has(text([&] { (void)train::adamw(one, {.beta2 = 1}); }), "beta2"));
    CHECK(has(text([&] { (void)train::sgd(one, {.momentum = 0, .nesterov = true}); }), "nesterov"));
    CHECK(has(text([&] { (void)train::adamw(train::named_tensors{}); }), "got none"));
    CHECK(has(text([&] { (void)train::adamw(train::named_tensors{{"w", w}, {"w", w.detach()}}); }), "'w' twice"));
    CHECK(has(text([&] { (void)train::adamw(train::named_tensors{{"v", w.t().slice(1, 0, 1)}}); }), "'v'"));
    CHECK(has(text([&] { (void)train::adamw(train::named_tensors{{"i", at::ones({2}, at::kLong)}}); }), "'i'"));
    auto opt = train::sgd(one);
    w.mutable_grad() = at::ones({2, 2}).to_sparse();
    CHECK(has(text([&] { opt.step(0.1); }), "sparse"));
    w.mutable_grad() = at::Tensor{};
}
