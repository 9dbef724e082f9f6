// Tests: the gradient of a window is that of the one big batch, however its samples are spread over ranks and micro-batches.
#include <penstock/train/engine.hpp>

#include <support/rank_threads.hpp>

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <random>
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
