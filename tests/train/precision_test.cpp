#include <penstock/train/precision.hpp>
#include <penstock/train/rng.hpp>

#include "files.hpp"

#include <sstream>
#include <string>

#include <support/catch.hpp>

namespace train = penstock::train;
using train::precision;

TEST_CASE("precision: instructions are read from cpuinfo", "[unit][precision]") {
    std::istringstream intel("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16\nprocessor : 1\nflags : fpu\n");
    auto const i = train::parse_cpuinfo(intel);
    CHECK(i.avx512);
    CHECK(i.amx);
    std::istringstream old("flags\t\t: fpu avx2\n"), arm("Features\t: fp asimd bf16\n"), none("");
    CHECK_FALSE(train::parse_cpuinfo(old).any());
    CHECK(train::parse_cpuinfo(arm).arm);
    CHECK_FALSE(train::parse_cpuinfo(none).any());
    (void)train::detect_cpu();
}

TEST_CASE("precision: a fallback says why in one sentence", "[unit][precision]") {
    train::cpu_bf16 const has{.avx512 = true}, lacks{};
    CHECK(train::resolve(precision::bf16_mixed, at::kCPU, has).precision == precision::bf16_mixed);
    CHECK(train::resolve(precision::automatic, at::kCPU, has).why.empty());
    auto const f = train::resolve(precision::bf16_mixed, at::kCPU, lacks);
    CHECK(f.precision == precision::fp32);
    CHECK(test::has(f.why, "bf16_mixed becomes fp32: this processor"));
    CHECK(train::resolve(precision::fp32, at::kCPU, has).precision == precision::fp32);
    CHECK(test::has(train::resolve(precision::tf32, at::kCPU, has).why, "CUDA"));
    CHECK(train::resolve(precision::automatic, at::kCUDA, lacks).precision == precision::bf16_mixed);
    CHECK(train::resolve(precision::bf16_mixed, at::kCUDA, lacks, 7).precision == precision::fp32);
    CHECK(train::resolve(precision::tf32, at::kCUDA, lacks, 9).precision == precision::tf32);
    CHECK(test::has(test::error_of<penstock::config_error>([&] { (void)train::resolve(precision::tf32, at::kMeta, has); }), "meta"));
}

TEST_CASE("autocast: products are bfloat16 inside, and the switches come back", "[unit][precision]") {
    auto const a = at::rand({4, 4});
    {
        train::forward_scope outer(precision::bf16_mixed, at::kCPU);
        CHECK(a.mm(a).scalar_type() == at::kBFloat16);
        {
            train::autocast inner(at::kCPU, at::kHalf);
            CHECK(a.mm(a).scalar_type() == at::kHalf);
        }
        CHECK(a.mm(a).scalar_type() == at::kBFloat16);
        train::forward_scope nothing(precision::fp32, at::kCPU);
        CHECK(a.mm(a).scalar_type() == at::kBFloat16);
    }
    CHECK(a.mm(a).scalar_type() == at::kFloat);
    CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST_CASE("autocast: gradients of float weights are float, outside the scope", "[unit][precision]") {
    auto w = at::rand({4, 4}).requires_grad_();
    at::Tensor loss;
    {
        train::forward_scope scope(precision::bf16_mixed, at::kCPU);
        loss = at::rand({2, 4}).mm(w).sum();
    }
    loss.backward();
    CHECK(w.grad().scalar_type() == at::kFloat);
}

TEST_CASE("rng: saved generators continue with the same numbers", "[unit][rng]") {
    train::seed_generators(11);
    auto const first = at::rand({5});
    train::seed_generators(11);
    CHECK(at::equal(first, at::rand({5})));
    auto const saved = train::save_generators();
    REQUIRE(saved.at(0).first == "rng.cpu");
    auto const a = at::randn({9});
    at::rand({100});
    train::load_generators(saved);
    CHECK(at::equal(a, at::randn({9})));
    CHECK(test::has(test::error_of<penstock::state_error>([] { train::load_generators({}); }), "rng.cpu"));
    CHECK(test::has(test::error_of<penstock::state_error>([] { train::load_generators({{"rng.cpu", at::zeros({3}, at::kByte)}}); }), "not a state"));
}

TEST_CASE("rng: deterministic is a scope", "[unit][rng]") {
    auto const before = at::globalContext().deterministicAlgorithms();
    {
        train::deterministic scope;
        CHECK(at::globalContext().deterministicAlgorithms());
        CHECK(at::globalContext().deterministicCuDNN());
    }
    CHECK(at::globalContext().deterministicAlgorithms() == before);
}
