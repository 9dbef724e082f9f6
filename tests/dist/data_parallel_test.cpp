#include <penstock/dist/data_parallel.hpp>

#include <support/rank_threads.hpp>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/linear.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;
namespace test = penstock::test;

namespace {

std::mutex model_mutex;  // ranks as threads share the global generator

torch::nn::Sequential make_net(std::uint64_t seed) {
    std::lock_guard lock(model_mutex);
    torch::manual_seed(seed);
    return torch::nn::Sequential(torch::nn::Linear(12, 64), torch::nn::Tanh(), torch::nn::Linear(64, 64), torch::nn::Tanh(), torch::nn::Linear(64, 48), torch::nn::Tanh(),
                                 torch::nn::Linear(48, 3));
}

/// Sample i of an endless set, the same everywhere.
at::Tensor sample(std::int64_t i) { return at::sin(at::arange(12, at::kFloat) * 0.37 + static_cast<double>(i)); }
at::Tensor rows(std::int64_t from, std::int64_t to) {
    std::vector<at::Tensor> all;
    for (auto i = from; i < to; ++i) all.push_back(sample(i));
    return at::stack(all);
}
at::Tensor loss_sum(torch::nn::Sequential& net, at::Tensor const& x) { return net->forward(x).pow(2).sum(); }

std::vector<at::Tensor> gradients(dist::data_parallel const& d) {
    std::vector<at::Tensor> out;
    for (auto const& p : d.params()) out.push_back(p.grad().detach().clone());
    return out;
}
at::Tensor flat(std::vector<at::Tensor> const& ts) {
    std::vector<at::Tensor> out;
    for (auto const& t : ts) out.push_back(t.detach().flatten().to(at::kDouble));
    return at::cat(out);
}
bool same_bits(at::Tensor const& a, at::Tensor const& b) { return a.sizes() == b.sizes() && at::equal(a, b); }

/// One step over samples [first, first + n) cut over the ranks into ragged micro-batches, then plain SGD.
void step(dist::context& ctx, torch::nn::Sequential& net, dist::data_parallel& d, std::int64_t first, std::int64_t n, int micro) {
    auto const w = ctx.world_size(), r = ctx.rank();
    auto const from = first + n * r / w, to = first + n * (r + 1) / w;
    for (int m = 0; m < micro; ++m) {
        auto const a = from + (to - from) * m / micro, b = from + (to - from) * (m + 1) / micro;
        bool const last = m + 1 == micro;
        d.begin(last);
        auto loss = a == b ? d.touch() : loss_sum(net, rows(a, b)) * (static_cast<double>(w) / static_cast<double>(n));
        d.arm(last, loss);
        loss.backward();
    }
}
void apply(dist::data_parallel const& d) {
    torch::NoGradGuard off;
    for (auto const& p : d.params()) {
        p.sub_(p.grad(), 0.05);
        p.grad().zero_();
    }
}

constexpr dist::data_parallel_options small_buckets{.bucket_cap_bytes = 4000, .first_bucket_bytes = 1000};

}  // namespace

TEST_CASE("data_parallel: rank 0's parameters and buffers go to all, frozen ones too", "[unit][dist]") {
    std::vector<at::Tensor> seen(3);
    auto const errors = test::on_ranks(3, [&](dist::context& ctx) {
        auto net = make_net(static_cast<std::uint64_t>(ctx.rank()));
        net->push_back(torch::nn::BatchNorm1d(3));
        net->parameters()[0].set_requires_grad(false);
        {
            torch::NoGradGuard off;
            net->named_buffers()["7.running_mean"].fill_(ctx.rank() + 7);
        }
        dist::data_parallel d(ctx, *net, small_buckets);
        if (d.params().size() != net->parameters().size() - 1) throw std::runtime_error("the frozen parameter is trained");
        std::vector<at::Tensor> all = net->parameters();
        for (auto const& b : net->buffers()) all.push_back(b);
        seen[static_cast<std::size_t>(ctx.rank())] = flat(all);
    });
    CHECK(errors == test::nothing(3));
    CHECK(same_bits(seen[0], seen[1]));
    CHECK(same_bits(seen[0], seen[2]));
    CHECK((seen[0] == 7).any().item<bool>());
}

TEST_CASE("data_parallel: gradients of ranks and micro-batches are those of the one big batch", "[unit][dist]") {
    constexpr std::int64_t n = 13;
    auto whole = make_net(1);
    (loss_sum(whole, rows(0, n)) / n).backward();
    std::vector<at::Tensor> expected;
    for (auto const& p : whole->parameters()) expected.push_back(p.grad());
    auto const e = flat(expected);
    for (int world : {1, 2, 3, 4})
        for (int micro : {1, 2, 16}) {
            CAPTURE(world, micro);
            std::vector<at::Tensor> got(static_cast<std::size_t>(world));
            auto const errors = test::on_ranks(world, [&](dist::context& ctx) {
                auto net = make_net(ctx.rank() == 0 ? 1u : 99u);
                dist::data_parallel d(ctx, *net, small_buckets);
                step(ctx, net, d, 0, n, micro);
                got[static_cast<std::size_t>(ctx.rank())] = flat(gradients(d));
            });
            CHECK(errors == test::nothing(world));
            for (auto const& g : got) {
                CHECK((g - e).norm().item<double>() <= 1e-6 * e.norm().item<double>());
                CHECK(same_bits(g, got[0]));
            }
        }
}

TEST_CASE("data_parallel: built anew in mid-run, it continues bit for bit", "[unit][dist]") {
    for (int world : {2, 3, 4}) {
        CAPTURE(world);
        std::vector<at::Tensor> straight(static_cast<std::size_t>(world)), resumed(static_cast<std::size_t>(world));
        std::vector<std::size_t> buckets(static_cast<std::size_t>(world));
        auto const errors = test::on_ranks(world, [&](dist::context& ctx) {
            auto const r = static_cast<std::size_t>(ctx.rank());
            auto const steps = [&](torch::nn::Sequential& net, dist::data_parallel& d, int from, int to) {
                for (int s = from; s < to; ++s) {
                    step(ctx, net, d, 100 * s, 11, 2);
                    apply(d);
                }
                return flat(net->parameters());
            };
            auto net = make_net(1);
            dist::data_parallel d(ctx, *net, small_buckets);
            auto const half = steps(net, d, 0, 3);
            auto second = make_net(2);
            {
                torch::NoGradGuard off;
                for (std::size_t i = 0; i < d.params().size(); ++i) second->parameters()[i].copy_(net->parameters()[i]);
            }
            dist::data_parallel again(ctx, *second, small_buckets);
            straight[r] = steps(net, d, 3, 6);
            resumed[r] = steps(second, again, 3, 6);
            auto const data = d.logger()->get_ddp_logging_data();
            buckets[r] = static_cast<std::size_t>(std::ranges::count(data.strs_map.at("rebuilt_bucket_sizes"), ',')) + 1;
        });
        CHECK(errors == test::nothing(world));
        for (int r = 0; r < world; ++r) {
            auto const i = static_cast<std::size_t>(r);
            CHECK(same_bits(straight[i], resumed[i]));
            CHECK(same_bits(straight[i], straight[0]));
            CHECK(buckets[i] > 2);  // else the order of sums cannot differ
        }
    }
}

TEST_CASE("data_parallel: a rank without data takes part with touch(), and adds nothing", "[unit][dist]") {
    std::vector<at::Tensor> got(2);
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        auto net = make_net(1);
        dist::data_parallel d(ctx, *net);
        {
            torch::NoGradGuard off;
            if (ctx.rank() == 1) net->parameters()[0].flatten()[0].fill_(1.0);
        }
        d.begin(true);
        auto loss = ctx.rank() == 0 ? loss_sum(net, rows(0, 4)) * 2 : d.touch();
        d.arm(true, loss);
        loss.backward();
        got[static_cast<std::size_t>(ctx.rank())] = flat(gradients(d));
    });
    CHECK(errors == test::nothing(2));
    auto whole = make_net(1);
    loss_sum(whole, rows(0, 4)).backward();
    std::vector<at::Tensor> expected;
    for (auto const& p : whole->parameters()) expected.push_back(p.grad());
    auto const e = flat(expected);
    CHECK((got[0] - e).norm().item<double>() <= 1e-6 * e.norm().item<double>());
    CHECK(same_bits(got[0], got[1]));
}

TEST_CASE("data_parallel: parts of the model may stay unused when that is asked for", "[unit][dist]") {
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        auto net = make_net(1);
        auto o = small_buckets;
        o.find_unused = true;
        dist::data_parallel d(ctx, *net, o);
        auto const first = net->ptr<torch::nn::LinearImpl>(0);
        for (int s = 0; s < 3; ++s) {
            d.begin(true);
            auto loss = s == 1 ? first->forward(rows(0, 2)).sum() : loss_sum(net, rows(0, 2));
            d.arm(true, loss);
            loss.backward();
        }
        if (!d.params()[0].grad().defined()) throw std::runtime_error("no gradient");
    });
    CHECK(errors == test::nothing(2));
}

TEST_CASE("data_parallel: different models are refused on every rank", "[unit][dist]") {
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        torch::nn::Linear net(4, ctx.rank() == 0 ? 2 : 3);
        dist::data_parallel d(ctx, *net);
    });
    CHECK_FALSE(errors[0].empty());
    CHECK_FALSE(errors[1].empty());
}

TEST_CASE("data_parallel: a model without trainable parameters is refused", "[unit][dist]") {
    auto ctx = dist::context::in_process({}, 0, 1);
    torch::nn::Linear net(2, 2);
    for (auto& p : net->parameters()) p.set_requires_grad(false);
    CHECK_THROWS_AS(dist::data_parallel(ctx, *net), penstock::config_error);
    torch::nn::Linear other(2, 2);
    CHECK_THROWS_AS(dist::data_parallel(ctx, *other, {.bucket_cap_bytes = 0}), penstock::config_error);
}

TEST_CASE("data_parallel: a module registered twice is trained once, and a world of 1 builds nothing", "[unit][dist]") {
    torch::nn::Linear shared(3, 3);
    torch::nn::Sequential net(shared, shared);
    auto ctx = dist::context::in_process({}, 0, 1);
    dist::data_parallel d(ctx, *net);
    CHECK(net->parameters().size() == 4);
    CHECK(d.params().size() == 2);
    CHECK(d.parameters().names.at(0) == "0.weight");
    CHECK_FALSE(d.logger());
    CHECK_FALSE(d.params()[0].grad().defined());
    d.begin(true);
    auto loss = net->forward(torch::ones({1, 3})).sum();
    d.arm(true, loss);
    loss.backward();
    CHECK(d.params()[0].grad().defined());
}

TEST_CASE("mean_buffers: averages copies, and buffers_for_now puts them in and takes them out", "[unit][dist]") {
    std::vector<double> mean(3), inside(3), after(3), batches(3);
    auto const errors = test::on_ranks(3, [&](dist::context& ctx) {
        auto const r = static_cast<std::size_t>(ctx.rank());
        torch::nn::BatchNorm1d bn(2);
        {
            torch::NoGradGuard off;
            bn->running_mean.fill_(ctx.rank() * 3.0);
            bn->num_batches_tracked.fill_(5 + ctx.rank());
        }
        auto const values = dist::mean_buffers(ctx, *bn);
        for (auto const& [name, v] : values) {
            if (name == "running_mean") mean[r] = v[1].item<double>();
            if (name == "num_batches_tracked") batches[r] = v.item<double>();
        }
        {
            dist::buffers_for_now swap(*bn, values);
            inside[r] = bn->running_mean[0].item<double>();
        }
        after[r] = bn->running_mean[0].item<double>();
    });
    CHECK(errors == test::nothing(3));
    CHECK(mean == std::vector<double>{3, 3, 3});
    CHECK(inside == mean);
    CHECK(after == std::vector<double>{0, 3, 6});
    CHECK(batches == std::vector<double>{5, 5, 5});
}

TEST_CASE("buffers_for_now: a module that is registered twice gets its own buffers back", "[unit][dist]") {
    std::vector<double> after(2);
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        torch::nn::BatchNorm1d bn(2);
        torch::nn::Sequential net(bn, bn);
        {
            torch::NoGradGuard off;
            bn->running_mean.fill_(ctx.rank() * 4.0);
        }
        { dist::buffers_for_now swap(*net, dist::mean_buffers(ctx, *net)); }
        after[static_cast<std::size_t>(ctx.rank())] = bn->running_mean[0].item<double>();
    });
    CHECK(errors == test::nothing(2));
    CHECK(after == std::vector<double>{0, 4});
}

TEST_CASE("data_parallel and mean_buffers: buffers of every type, on two ranks", "[unit][dist]") {
    struct row {
        at::ScalarType type;
        bool averaged;
    };
    // rank 0 holds 1, rank 1 holds 3
    std::vector<row> const table{{at::kBool, false},   {at::kByte, false},          {at::kChar, false},         {at::kShort, false},          {at::kInt, false},
                                 {at::kLong, false},   {at::kUInt16, false},        {at::kUInt32, false},       {at::kUInt64, false},         {at::kHalf, true},
                                 {at::kBFloat16, true}, {at::kFloat, true},         {at::kDouble, true},        {at::kFloat8_e4m3fn, true},   {at::kFloat8_e5m2, true},
                                 {at::kFloat8_e4m3fnuz, true}, {at::kFloat8_e5m2fnuz, true}, {at::kComplexHalf, true}, {at::kComplexFloat, true}, {at::kComplexDouble, true}};
    for (auto const& [type, averaged] : table) {
        INFO("type " << at::toString(type));
        std::vector<double> mean(2), imaginary(2), equal(2);
        auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
            auto const r = static_cast<std::size_t>(ctx.rank());
            auto const real = [](at::Tensor const& t) { return at::real(t.is_complex() ? t.to(at::kComplexDouble) : t.to(at::kDouble)).flatten()[0].item<double>(); };
            torch::nn::Linear net(1, 1);
            auto value = at::full({2, 3}, 1.0 + 2.0 * ctx.rank(), at::kDouble);
            auto const buffer = net->register_buffer("b", at::isComplexType(type) ? at::complex(value, -value).to(type) : value.to(type));
            for (auto const& [name, v] : dist::mean_buffers(ctx, *net)) {
                mean[r] = real(v);
                imaginary[r] = v.is_complex() ? at::imag(v.to(at::kComplexDouble)).flatten()[0].item<double>() : -mean[r];
                if (v.scalar_type() != type || v.sizes() != at::IntArrayRef({2, 3})) throw std::runtime_error("another type or shape");
            }
            dist::data_parallel ddp(ctx, *net);  // broadcasts rank 0's
            equal[r] = real(buffer);
        });
        CHECK(errors == test::nothing(2));
        CHECK(mean == (averaged ? std::vector<double>{2, 2} : std::vector<double>{1, 1}));
        CHECK(imaginary == (averaged ? std::vector<double>{-2, -2} : std::vector<double>{-1, -1}));
        CHECK(equal == std::vector<double>{1, 1});
    }
}

TEST_CASE("mean_buffers: integers keep every bit, buffers without elements or memory are passed over, strides stay", "[unit][dist]") {
    std::vector<std::string> seen(2);
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        torch::nn::Linear net(1, 1);
        auto big = at::full({3}, -5 - ctx.rank(), at::kLong).to(at::kUInt64);  // above 2^63
        net->register_buffer("big", big);
        net->register_buffer("turned", at::arange(6, at::kInt).view({2, 3}).t());
        net->register_buffer("empty", at::empty({0, 2}));
        net->register_buffer("none", at::Tensor());
        for (auto const& [name, v] : dist::mean_buffers(ctx, *net)) {
            auto const text = name == "big" ? v.view(at::kLong) : v;
            seen[static_cast<std::size_t>(ctx.rank())] += penstock::message(name, ' ', text.numel() == 0 ? 0 : text.flatten()[1].item<std::int64_t>(), ' ', v.numel() == 0 ? 0 : v.stride(0), "; ");
        }
        dist::data_parallel ddp(ctx, *net);
    });
    CHECK(errors == test::nothing(2));
    CHECK(seen == std::vector<std::string>(2, "big -5 1; turned 3 1; empty 0 0; "));
}

TEST_CASE("data_parallel: a buffer that cannot be sent is refused by name", "[unit][dist]") {
    struct row {
        char const* word;
        at::Tensor value;
    };
    for (auto const& [word, value] : {row{"a sparse one", at::eye(3).to_sparse()}, {"a sparse one", at::eye(3).to_sparse_csr()},
                                      {"a quantised one", at::quantize_per_tensor(at::ones({3}), 0.1, 0, at::kQInt8)}, {"the meta device", at::empty({3}, at::kMeta)}}) {
        auto const errors = test::on_ranks(2, [&, given = value](dist::context& ctx) {
            torch::nn::Linear net(1, 1);
            net->register_buffer("adjacency", given);
            dist::data_parallel ddp(ctx, *net);
        });
        for (auto const& e : errors) {
            CHECK(e.find("buffer 'adjacency' must be a dense tensor") != std::string::npos);
            CHECK(e.find(word) != std::string::npos);
            CHECK(e.find("HINT") != std::string::npos);
        }
    }
}

TEST_CASE("data_parallel: frozen parameters of types that c10d lacks are rank 0's everywhere; a parameter without elements trains", "[unit][dist]") {
    std::vector<double> got(2);
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        torch::nn::Linear net(1, 1);
        auto const phase = net->register_parameter("phase", at::full({2}, c10::complex<double>(ctx.rank(), 4)), false);
        net->register_parameter("empty", at::zeros({0, 3}));
        dist::data_parallel ddp(ctx, *net);
        ddp.begin(true);
        auto loss = net->forward(at::ones({1, 1})).sum() + net->named_parameters()["empty"].sum();
        ddp.arm(true, loss);
        loss.backward();
        got[static_cast<std::size_t>(ctx.rank())] = at::real(phase)[1].item<double>();
    });
    CHECK(errors == test::nothing(2));
    CHECK(got == std::vector<double>{0, 0});
}
