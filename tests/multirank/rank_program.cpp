// Implements: the program whose ranks the drivers in this folder start, disturb and listen to.
//
// rank_program [dist's flags] MODE [ARG...]: what the ranks do, or --serve-store: be the agent of a job that someone else starts.
#include <penstock/dist/data_parallel.hpp>
#include <penstock/dist/packet.hpp>
#include <penstock/dist/run.hpp>

#include <torch/nn/modules/linear.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace ps = penstock;

namespace {

/// Like torchrun's agent: serves a store until its standard input ends.
int serve_store() {
    c10d::TCPStoreOptions o;
    o.port = 0;
    o.isServer = true;
    o.waitWorkers = false;
    auto const store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", o);
    std::printf("%d\n", static_cast<int>(store->getPort()));
    std::fflush(stdout);
    char c;
    while (::read(0, &c, 1) > 0) {
    }
    return 0;
}

/// Steps for ever, as a loop does them; `victim` does `what` at step 3.
void train(ps::dist::context& ctx, int victim, std::string const& what, std::uint64_t steps) {
    torch::manual_seed(static_cast<std::uint64_t>(ctx.rank()));
    torch::nn::Linear net(64, 64);
    ps::dist::data_parallel ddp(ctx, *net);
    for (std::uint64_t step = 0; step < steps; ++step) {
        ctx.step(step);
        ctx.check();
        bool const now = ctx.rank() == victim && step == 3;
        ctx.phase("waits for data");
        if (now && what == "read") {
            int ends[2];
            char c;
            if (::pipe(ends) == 0 && ::read(ends[0], &c, 1) == 0) std::puts("?");  // nobody ever writes
        }
        auto sent = ps::dist::start(ctx, {.weight = 1, .samples = 1, .has_data = true});
        ctx.phase("computes");
        ddp.begin(true);
        auto loss = net->forward(torch::ones({4, 64})).sum();
        if (now && what == "throw") throw ps::stage_error("read_tar", ps::fault::content, {.shard = "data/shard-007.tar", .byte = 4096}, "the header's checksum is wrong");
        if (now && what == "segv") ::raise(SIGSEGV);
        if (now && what == "kill") ::raise(SIGKILL);
        if (now && what == "stop") ::raise(SIGSTOP);
        if (now && what == "exit") std::_Exit(7);
        if (now && what == "compute") ::pause();
        ddp.arm(true, loss);
        loss.backward();
        ctx.phase("waits for the packet");
        auto const sum = sent.wait();
        if (sum.has_data != ctx.world_size()) throw ps::error("the packet is wrong");
        ctx.phase("updates the weights");
        torch::NoGradGuard off;
        for (auto const& p : ddp.params()) p.sub_(p.grad(), 1e-6).grad().zero_();
        if (steps > 100) ::usleep(20'000);
        if (step == 2 && ctx.rank() == 0) {
            std::puts("at step 2");
            std::fflush(stdout);
        }
    }
    double const sum = net->weight.sum().item<double>();
    std::printf("rank %d of %d: done, weights %.17g\n", ctx.rank(), ctx.world_size(), sum);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string(argv[1]) == "--serve-store") return serve_store();
    if (argc > 1 && std::string(argv[argc - 1]) == "uncaught") {  // main without dist::run: the terminate handler speaks
        auto ctx = ps::dist::init(argc, argv);
        train(ctx, std::atoi(argv[2]), argv[1], 1'000'000);
        return 0;
    }
    return ps::dist::run(argc, argv, [](ps::dist::context& ctx, int n, char** args) {
        if (n < 2) throw ps::config_error("rank_program: a mode is needed\n  HINT: finish, throw, kill, stop, read, compute, exit, segv");
        std::string const mode = args[1];
        if (mode == "finish") train(ctx, -1, mode, 10);
        else if (mode == "steady") train(ctx, -1, mode, 200);
        else if (mode == "early" && ctx.rank() == 1) ctx.close();
        else train(ctx, n > 2 ? std::atoi(args[2]) : 1, mode, 1'000'000);
    });
}
