#include <penstock/dist/context.hpp>
#include <penstock/dist/run.hpp>

#include <support/rank_threads.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;
namespace test = penstock::test;
using namespace std::chrono_literals;

TEST_CASE("context: collective operations over ranks", "[unit][dist]") {
    for (int world : {1, 2, 3}) {
        CAPTURE(world);
        std::vector<double> sums(3), heads(3);
        std::atomic<int> met{0}, wrong{0};
        auto const errors = test::on_ranks(world, [&](dist::context& ctx) {
            auto const r = static_cast<std::size_t>(ctx.rank());
            auto t = at::full({3}, 1.0 + ctx.rank(), at::kDouble);
            ctx.all_reduce(t);
            sums[r] = t[2].item<double>();
            auto b = at::full({1}, 10.0 * ctx.rank(), at::kDouble);
            ctx.broadcast(b, ctx.world_size() - 1);
            heads[r] = b.item<double>();
            ++met;
            ctx.barrier();
            if (met != ctx.world_size()) ++wrong;
            ctx.step(1);
            ctx.phase("computes");
            ctx.check();
        });
        CHECK(errors == test::nothing(world));
        CHECK(wrong == 0);
        for (int r = 0; r < world; ++r) {
            CHECK(sums[static_cast<std::size_t>(r)] == world * (world + 1) / 2.0);
            CHECK(heads[static_cast<std::size_t>(r)] == 10.0 * (world - 1));
        }
    }
}

TEST_CASE("context: says who it is", "[unit][dist]") {
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        auto const w = ctx.world();
        if (w.size != 2 || w.rank != static_cast<std::uint32_t>(ctx.rank()) || ctx.local_world_size() != 2 || !ctx.device().is_cpu()) throw std::runtime_error("wrong");
        auto moved = std::move(ctx);
        moved.barrier();
    });
    CHECK(errors == test::nothing(2));
    CHECK_THROWS_AS(dist::context::in_process({}, 2, 2), penstock::config_error);
    CHECK_THROWS_AS(dist::context::in_process({}, 0, 0), penstock::config_error);
}

TEST_CASE("context: a bad root is named", "[unit][dist]") {
    auto ctx = dist::context::in_process({}, 0, 1);
    auto t = at::zeros({1});
    for (int root : {-1, 1}) CHECK_THROWS_AS(ctx.broadcast(t, root), penstock::config_error);
}

TEST_CASE("context: a rank that does not come is an error within the time-out", "[unit][dist]") {
    auto const begun = std::chrono::steady_clock::now();
    auto const errors = test::on_ranks(2, [&](dist::context& ctx) {
        if (ctx.rank() == 1) std::this_thread::sleep_for(1500ms);
        else ctx.barrier();
    }, {.step_timeout = 500ms});
    CAPTURE(errors[0]);
    CHECK(errors[0].find("all_reduce: ") == 0);
    CHECK(errors[1].empty());
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
}

TEST_CASE("context: alone, init needs no store, and run turns exceptions into exit codes", "[unit][dist]") {
    auto const before = std::get_terminate();
    std::string a = "prog", b = "--threads-per-rank=1", c = "mine";
    std::vector<char*> args{a.data(), b.data(), c.data(), nullptr};
    int argc = 3;
    char** argv = args.data();
    {
        auto ctx = dist::init(argc, argv);
        CHECK(ctx.world_size() == 1);
        CHECK(ctx.rank() == 0);
        CHECK(ctx.threads() == 1);
        CHECK(argc == 2);
        CHECK(std::string(argv[1]) == "mine");
        CHECK(ctx.group()->getSize() == 1);  // made on demand
        CHECK(dist::run(ctx, [] { throw penstock::config_error("this sentence is part of the test"); }) == dist::exit_own);
        CHECK(dist::run(ctx, [] {}) == 0);
    }
    CHECK(std::get_terminate() != before);
    std::set_terminate(before);
}

TEST_CASE("context: torchrun's error file holds the sentence as JSON", "[unit][dist]") {
    std::string const path = "penstock_error_file_test.json";
    ::setenv("TORCHELASTIC_ERROR_FILE", path.c_str(), 1);
    dist::write_error_file("read_tar: \"a\\b\"\n  HINT: \x01 none");
    ::unsetenv("TORCHELASTIC_ERROR_FILE");
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    std::remove(path.c_str());
    CHECK(line.find(R"({"message":{"message":"read_tar: \"a\\b\"\n  HINT:   none","extraInfo":{"py_callstack":"read_tar: )") == 0);
}

TEST_CASE("context: which errors come from another rank", "[unit][dist]") {
    CHECK(dist::is_peer_failure(dist::peer_error({1, "x"})));
    CHECK(dist::is_peer_failure(std::runtime_error("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1")));
    CHECK_FALSE(dist::is_peer_failure(std::runtime_error("file not found")));
    CHECK(dist::is_timeout("Timed out waiting 3000ms for recv operation to complete"));
    CHECK_FALSE(dist::is_timeout("Connection closed by peer"));
}
