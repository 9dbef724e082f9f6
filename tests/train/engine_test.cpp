// Tests: the gradient of a window is that of the one big batch, however its samples are spread over ranks and micro-batches.
#include <penstock/train/engine.hpp>

#include <support/rank_threads.hpp>

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace train = penstock::train;

namespace {

struct part {
    at::Tensor x, y;
    std::vector<double> weights;

    std::size_t size() const { return weights.size(); }
    double weight() const {
        double sum = 0;
        for (double w : weights) sum += w;
        return sum;
    }
};

torch::nn::Sequential model() {
    static std::mutex one_at_a_time;  // the generator is the process's
    std::lock_guard lock(one_at_a_time);
    at::manual_seed(7);
    return torch::nn::Sequential(torch::nn::Linear(6, 16), torch::nn::Tanh(), torch::nn::Linear(16, 16), torch::nn::Tanh(), torch::nn::Linear(16, 3));
}

train::loss_sum loss(torch::nn::Sequential& net, part const& b) {
    auto each = at::cross_entropy_loss(net->forward(b.x), b.y, {}, at::Reduction::None);
    return {(each * at::tensor(b.weights, at::kDouble).to(at::kFloat)).sum(), b.weight()};
}

/// Parts of `world` ranks: sizes from 0 to 9, weights of 1 or fractions; the last window has fewer micro-batches on some ranks.
std::vector<std::vector<part>> spread(int world, int micro, bool fractions, std::mt19937& random) {
    std::vector<std::vector<part>> all(static_cast<std::size_t>(world));
    for (auto& rank : all) {
        auto const n = fractions ? random() % static_cast<unsigned>(micro + 1) : static_cast<unsigned>(micro);
        for (unsigned m = 0; m != n; ++m) {
            auto const size = static_cast<std::int64_t>(random() % 10);
            part p{at::empty({size, 6}), at::empty({size}, at::kLong), {}};
            for (std::int64_t i = 0; i != size; ++i) {
                for (std::int64_t j = 0; j != 6; ++j) p.x[i][j] = static_cast<float>(random() % 2001) / 1000.f - 1.f;
                p.y[i] = static_cast<std::int64_t>(random() % 3);
                p.weights.push_back(fractions ? static_cast<double>(1 + random() % 8) / 4 : 1.0);
            }
            rank.push_back(std::move(p));
        }
    }
    auto& first = all.front();
    if (first.empty()) first.push_back({});
    first.front() = {at::full({1, 6}, 0.25), at::ones({1}, at::kLong), {1.0}};  // never all empty
    return all;
}

part one_big_batch(std::vector<std::vector<part>> const& all) {
    std::vector<at::Tensor> x, y;
    part big;
    for (auto const& rank : all)
        for (auto const& p : rank) {
            if (p.size() == 0) continue;
            x.push_back(p.x);
            y.push_back(p.y);
            big.weights.insert(big.weights.end(), p.weights.begin(), p.weights.end());
        }
    big.x = at::cat(x);
    big.y = at::cat(y);
    return big;
}

at::Tensor flat_gradient(torch::nn::Sequential& net) {
    std::vector<at::Tensor> all;
    for (auto const& p : net->parameters()) all.push_back(p.grad().flatten().to(at::kDouble));
    return at::cat(all).clone();
}

at::Tensor reference(part const& big) {
    auto net = model();
    (loss(net, big).sum / big.weight()).backward();
    return flat_gradient(net);
}

}  // namespace

TEST_CASE("engine: gradients equal those of one big batch", "[unit][engine]") {
    auto const world = GENERATE(1, 2, 3, 4);
    auto const micro = GENERATE(1, 2, 4, 16);
    auto const fractions = GENERATE(false, true);
    std::mt19937 random(static_cast<unsigned>(100 * world + 10 * micro + fractions));
    for (int bucket : {1 << 20, 256}) {  // one bucket, and several
        std::vector<std::vector<std::vector<part>>> windows;
        std::vector<at::Tensor> expected;
        for (int k = 0; k != 3; ++k) {
            windows.push_back(spread(world, k == 2 ? (std::max)(1, micro / 2) : micro, fractions, random));
            expected.push_back(reference(one_big_batch(windows.back())));
        }
        std::mutex lock;
        std::vector<double> errors;
        auto const failures = ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
            auto net = model();
            auto opt = train::sgd(net, {.lr = 0.0, .momentum = 0.0});
            train::engine step(ctx, net, opt, {.parallel = {.bucket_cap_bytes = bucket, .first_bucket_bytes = bucket}});
            auto l = [](auto& n, auto const& b) { return loss(n, b); };
            for (std::size_t k = 0; k != windows.size(); ++k) {
                double weight = 0;
                for (auto const& rank : windows[k])
                    for (auto const& p : rank) weight += p.weight();
                step.gradients(l, windows[k][static_cast<std::size_t>(ctx.rank())], weight);
                auto const error = ((flat_gradient(net) - expected[k]).norm() / expected[k].norm()).item<double>();
                step.apply(1.0);
                std::lock_guard guard(lock);
                errors.push_back(error);
            }
        });
        CHECK(failures == ps::test::nothing(world));
        CHECK(errors.size() == static_cast<std::size_t>(3 * world));
        INFO("world " << world << ", micro-batches " << micro << ", bucket " << bucket);
        CHECK(*std::max_element(errors.begin(), errors.end()) <= 1e-6);
    }
}

TEST_CASE("engine: a loss whose weight is not the batch's is refused", "[unit][engine]") {
    auto const failures = ps::test::on_ranks(1, [](ps::dist::context& ctx) {
        auto net = model();
        auto opt = train::sgd(net);
        train::engine step(ctx, net, opt);
        std::vector<part> window{{at::ones({2, 6}), at::ones({2}, at::kLong), {1.0, 1.0}}};
        auto l = [](auto& n, auto const& b) { return train::loss_sum{loss(n, b).sum, 3.0}; };
        std::string text;
        try {
            step.gradients(l, window, 2.0);
        } catch (ps::config_error const& e) {
            text = e.what();
        }
        if (text.find("weighs 3") == text.npos) throw std::runtime_error("wrong message: " + text);
    });
    CHECK(failures == ps::test::nothing(1));
}

TEST_CASE("engine: a plain tensor is the mean over the batch", "[unit][engine]") {
    auto const failures = ps::test::on_ranks(1, [](ps::dist::context& ctx) {
        part const b{at::ones({2, 6}), at::ones({2}, at::kLong), {1.0, 1.0}};
        auto one = model(), two = model();
        auto opt_one = train::sgd(one), opt_two = train::sgd(two);
        train::engine sums(ctx, one, opt_one), means(ctx, two, opt_two);
        auto sum = [](auto& n, auto const& p) { return loss(n, p); };
        auto mean = [](auto& n, auto const& p) { return loss(n, p).sum / 2; };
        std::vector<part> window{b};
        sums.gradients(sum, window, 2.0);
        means.gradients(mean, window, 2.0);
        if (!at::allclose(flat_gradient(one), flat_gradient(two), 1e-7, 0)) throw std::runtime_error("gradients differ");
    });
    CHECK(failures == ps::test::nothing(1));
}

TEST_CASE("engine: a skipped step leaves weights and optimizer as they were", "[unit][engine]") {
    auto const failures = ps::test::on_ranks(1, [](ps::dist::context& ctx) {
        auto net = model();
        auto opt = train::adamw(net, {.lr = 0.1});
        train::engine step(ctx, net, opt, {.skip_nonfinite = true});
        auto const before = net->parameters().front().detach().clone();
        part bad{at::full({2, 6}, std::numeric_limits<float>::infinity()), at::ones({2}, at::kLong), {1.0, 1.0}};
        std::vector<part> window{bad};
        auto l = [](auto& n, auto const& b) { return loss(n, b); };
        step.gradients(l, window, 2.0);
        step.apply(1.0);
        if (!at::equal(before, net->parameters().front())) throw std::runtime_error("weights moved");
        for (auto const& [name, t] : opt.state())
            if (!at::equal(t, at::zeros_like(t))) throw std::runtime_error("optimizer state moved: " + name);
    });
    CHECK(failures == ps::test::nothing(1));
}

namespace {

struct rows {
    at::Tensor x;
    std::size_t size() const { return static_cast<std::size_t>(x.size(0)); }
    double weight() const { return static_cast<double>(size()); }
};
/// Two layers, of which a loss may use one; all weights 1.
struct two_layers : torch::nn::Module {
    torch::nn::Linear a = register_module("a", torch::nn::Linear(1, 1)), b = register_module("b", torch::nn::Linear(1, 1));
    two_layers() {
        at::NoGradGuard off;
        for (auto& p : parameters()) p.fill_(1);
    }
};
using net_ptr = std::shared_ptr<two_layers>;
net_ptr layers() { return std::make_shared<two_layers>(); }
std::vector<rows> const one_row{{at::ones({1, 1})}};
auto const both = [](net_ptr& n, rows const& r) { return train::loss_sum{(n->a(r.x) + n->b(r.x)).square().sum(), r.weight()}; };
auto const only_a = [](net_ptr& n, rows const& r) { return train::loss_sum{n->a(r.x).square().sum(), r.weight()}; };

double weight_of(torch::nn::Linear const& l) { return l->weight.detach().item<double>(); }
void expect(bool ok, std::string const& what) {
    if (!ok) throw std::runtime_error(what);
}
/// What f throws on one rank.
std::string refusal(std::function<void(ps::dist::context&)> const& f) { return ps::test::on_ranks(1, f).front(); }
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("engine: gradients left from before do not go into the first step", "[unit][engine]") {
    for (int world : {1, 2})
        CHECK(ps::test::on_ranks(world, [world](ps::dist::context& ctx) {
                  auto net = layers(), clean = layers();
                  for (auto& p : net->parameters()) p.mutable_grad() = at::full_like(p, 1000);
                  for (auto const& n : {net, clean}) {
                      auto model = n;
                      auto opt = train::sgd(n, {.lr = 0.01, .momentum = 0});
                      train::engine step(ctx, model, opt);
                      step.gradients(both, one_row, world);
                      step.apply(1);
                  }
                  expect(weight_of(net->b) == weight_of(clean->b), "the old gradient was used: " + std::to_string(weight_of(net->b)));
                  expect(weight_of(net->b) < 1, "no step");
              }) == ps::test::nothing(world));
}

TEST_CASE("engine: an optimizer of another model is refused, and what no optimizer holds is named", "[unit][engine]") {
    auto text = refusal([](ps::dist::context& ctx) {
        auto net = layers();
        auto opt = train::sgd(layers());
        train::engine(ctx, net, opt);
    });
    CHECK(has(text, "the optimizer holds 'a.weight', 'b.weight', 'a.bias', 'b.bias', which are no parameters of the model\n  HINT: "));
    CHECK(refusal([](ps::dist::context& ctx) {
              auto net = layers();
              auto opt = train::sgd(net->a);
              train::engine step(ctx, net, opt);
              expect(step.in_no_optimizer() == std::vector<std::string>{"b.weight", "b.bias"}, "wrong names");
              net->b->weight.requires_grad_(false);
              train::engine later(ctx, net, opt);
              expect(later.in_no_optimizer() == std::vector<std::string>{"b.bias"}, "a frozen parameter needs no optimizer");
          }) == "");
}

TEST_CASE("engine: a parameter that no rank used is left alone in every world, also when it was used before", "[unit][engine]") {
    std::mutex lock;
    std::vector<double> values;
    for (int world : {1, 2, 3}) {
        auto const failures = ps::test::on_ranks(world, [&, world](ps::dist::context& ctx) {
            auto net = layers();
            auto opt = train::adamw(net, {.lr = 0.1, .weight_decay = 0.5, .decay_1d = true});
            train::engine step(ctx, net, opt, {.parallel = {.find_unused = true}});
            step.gradients(both, one_row, world);
            step.apply(1);
            auto const before = weight_of(net->b);
            expect(before < 1, "the first step uses b");
            std::vector<at::Tensor> kept;
            auto const moments = [&] {
                std::vector<at::Tensor> all;
                for (auto const& [name, t] : opt.state())
                    if (name[0] == 'b') all.push_back(t.clone());
                return all;
            };
            auto const was = moments();
            for (int k = 0; k != 3; ++k) {
                step.gradients(only_a, one_row, world);
                step.apply(1);
            }
            expect(weight_of(net->b) == before, "b was changed without being used");
            auto const is = moments();
            expect(was.size() == 6, "three tensors for each of b's parameters");
            for (std::size_t i = 0; i != was.size(); ++i) expect(at::equal(was[i], is[i]), "moments of b were changed");
            // used by the last rank alone: then it moves on all
            auto const last = [&](net_ptr& n, rows const& r) { return ctx.rank() == world - 1 ? both(n, r) : only_a(n, r); };
            step.gradients(last, one_row, world);
            step.apply(1);
            expect(weight_of(net->b) < before, "b was used by one rank");
            std::lock_guard guard(lock);
            values.push_back(weight_of(net->b));
        });
        CHECK(failures == ps::test::nothing(world));
    }
    REQUIRE(values.size() == 6);
    CHECK(values[1] == values[2]);  // the two of world 2, and the three of world 3
    CHECK(values[3] == values[5]);
}

TEST_CASE("engine: a rank without samples uses nothing, and takes part", "[unit][engine]") {
    CHECK(ps::test::on_ranks(2, [](ps::dist::context& ctx) {
              auto net = layers();
              auto opt = train::sgd(net, {.lr = 0.1, .momentum = 0, .weight_decay = 0.5});
              train::engine step(ctx, net, opt, {.parallel = {.find_unused = true}});
              step.gradients(only_a, ctx.rank() == 0 ? one_row : std::vector<rows>{}, 1);
              step.apply(1);
              expect(weight_of(net->b) == 1, "b was changed");
              expect(weight_of(net->a) < 1, "a was not trained");
          }) == ps::test::nothing(2));
}

TEST_CASE("engine: a parameter that gets no gradient is named in the step where it happens", "[unit][engine]") {
    auto const failures = ps::test::on_ranks(2, [](ps::dist::context& ctx) {
        auto net = layers();
        auto opt = train::sgd(net);
        train::engine step(ctx, net, opt);
        step.gradients(only_a, one_row, 2);
    });
    for (auto const& f : failures) CHECK(has(f, "no gradient came to 'b.weight', 'b.bias' in this step: the loss does not depend on them\n  HINT: .find_unused = true"));
}

TEST_CASE("engine: parameters without elements train in every world", "[unit][engine]") {
    for (int world : {1, 2})
        CHECK(ps::test::on_ranks(world, [world](ps::dist::context& ctx) {
                  auto net = layers();
                  net->register_parameter("e", at::zeros({0, 3}));
                  auto opt = train::adamw(net, {.lr = 0.1});
                  train::engine step(ctx, net, opt);
                  auto const with_e = [](net_ptr& n, rows const& r) {
                      auto l = both(n, r);
                      return train::loss_sum{l.sum + n->named_parameters(false)["e"].sum(), l.weight};
                  };
                  for (auto const& window : {one_row, ctx.rank() == 0 ? one_row : std::vector<rows>{}}) {
                      step.gradients(with_e, window, world);
                      step.apply(1);
                  }
                  expect(weight_of(net->a) < 1, "a was not trained");
              }) == ps::test::nothing(world));
}

TEST_CASE("engine: frozen in mid-run a parameter stays as it is; thawed it is refused by name; complex too", "[unit][engine]") {
    for (int world : {1, 2})
        CHECK(ps::test::on_ranks(world, [world](ps::dist::context& ctx) {
                  auto net = layers();
                  auto opt = train::adamw(net, {.lr = 0.1, .weight_decay = 0.5});
                  train::engine step(ctx, net, opt, {.parallel = {.find_unused = true}});
                  step.gradients(both, one_row, world);
                  step.apply(1);
                  auto const before = weight_of(net->b);
                  for (auto& p : net->b->parameters()) p.requires_grad_(false);
                  step.gradients(both, one_row, world);
                  step.apply(1);
                  expect(weight_of(net->b) == before, "a frozen parameter moved");
                  for (auto& p : net->b->parameters()) p.requires_grad_(true);
                  step.gradients(both, one_row, world);
                  step.apply(1);
                  expect(weight_of(net->b) < before, "thawed again, it moves again");
              }) == ps::test::nothing(world));
    auto text = refusal([](ps::dist::context& ctx) {
        auto net = layers();
        net->b->weight.requires_grad_(false);
        auto opt = train::sgd(net);
        train::engine step(ctx, net, opt);
        net->b->weight.requires_grad_(true);
        step.gradients(both, one_row, 1);
    });
    CHECK(has(text, "parameter 'b.weight' was frozen when the training began, and requires a gradient now\n  HINT: "));
    text = refusal([](ps::dist::context& ctx) {
        auto net = layers();
        auto opt = train::sgd(net);
        net->register_parameter("phase", at::zeros({2}, at::kComplexFloat));
        train::engine(ctx, net, opt);
    });
    CHECK(has(text, "parameter 'phase' is complex"));
}

namespace {

struct tied_layers : torch::nn::Module {
    at::Tensor w = register_parameter("w", at::ones({1, 1}));
    at::Tensor again = register_parameter("again", w);  // as an output layer that is the embedding
};

}  // namespace

TEST_CASE("engine: shared parameters train as one, in every world", "[unit][engine]") {
    for (int world : {1, 2})
        CHECK(ps::test::on_ranks(world, [world](ps::dist::context& ctx) {
                  auto net = std::make_shared<tied_layers>();
                  auto opt = train::sgd(net, {.lr = 0.25, .momentum = 0});
                  train::engine step(ctx, net, opt);
                  auto const l = [](auto& n, rows const& r) { return train::loss_sum{(r.x.matmul(n->w) + r.x.matmul(n->again)).sum(), r.weight()}; };
                  step.gradients(l, one_row, world);
                  step.apply(1);
                  expect(net->w.detach().template item<double>() == 0.5, "gradient 2, one step of 0.25");
              }) == ps::test::nothing(world));
}

TEST_CASE("engine: a loss that cannot be trained is refused with what is wrong", "[unit][engine]") {
    auto const text = [](auto make) {
        return refusal([&](ps::dist::context& ctx) {
            auto net = layers();
            auto opt = train::sgd(net);
            train::engine step(ctx, net, opt);
            auto l = [&](net_ptr& n, rows const& r) { return make(n->a(r.x) + n->b(r.x)); };
            step.gradients(l, std::vector<rows>{{at::ones({3, 1})}}, 3);
        });
    };
    using at::Tensor;
    CHECK(has(text([](Tensor y) { return train::loss_sum{y, 3}; }), "the sum of a loss_sum must be a 0-dim tensor, got shape [3, 1]\n  HINT: add it up"));
    CHECK(has(text([](Tensor y) { return y; }), "must be a 0-dim tensor, got shape [3, 1]\n  HINT: reduce it by Mean"));
    CHECK(has(text([](Tensor y) { return train::loss_sum{y.sum().detach(), 3}; }), "depends on no parameter that is trained: it has no gradient\n  HINT: "));
    CHECK(has(text([](Tensor y) { return y.argmax().sum(); }), "must be a floating-point number, got Long"));
    CHECK(has(text([](Tensor y) { return at::complex(y, y).sum(); }), "must be a floating-point number, got ComplexFloat"));
    CHECK(has(text([](Tensor) { return Tensor(); }), "got an undefined one"));
}

TEST_CASE("engine: BatchNorm over one sample is a sentence with a HINT", "[unit][engine]") {
    auto const text = refusal([](ps::dist::context& ctx) {
        torch::nn::Sequential net(torch::nn::Linear(1, 4), torch::nn::BatchNorm1d(4));
        auto opt = train::sgd(net);
        train::engine step(ctx, net, opt);
        auto l = [](auto& n, auto const& r) { return n->forward(r.x).mean(); };
        step.gradients(l, one_row, 1);
    });
    CHECK(has(text, "normalises over its batch (BatchNorm), and this batch holds 1 sample: Expected more than 1 value per channel"));
    CHECK(has(text, "HINT: choose a batch size"));
}

TEST_CASE("engine: a loss that is not finite on one rank skips the step on all, whatever the gradients are", "[unit][engine]") {
    for (int world : {1, 2})
        CHECK(ps::test::on_ranks(world, [world](ps::dist::context& ctx) {
                  auto net = layers();
                  auto opt = train::adamw(net, {.lr = 0.1});
                  train::engine step(ctx, net, opt, {.skip_nonfinite = true});
                  auto const bad = [&](net_ptr& n, rows const& r) {
                      auto l = both(n, r);
                      return train::loss_sum{ctx.rank() == world - 1 ? l.sum + std::numeric_limits<double>::infinity() : l.sum, l.weight};
                  };
                  step.gradients(bad, one_row, world);
                  expect(!at::isfinite(step.apply(1)).item<bool>(), "the norm must tell");
                  expect(weight_of(net->a) == 1, "weights moved");
                  step.gradients(both, one_row, world);
                  expect(at::isfinite(step.apply(1)).item<bool>(), "a good step");
                  expect(weight_of(net->a) < 1, "weights did not move");
              }) == ps::test::nothing(world));
}
