// 10: a training on three ranks is killed, two ranks finish its epoch, and the model tells that every sample has trained it once.
//
//   3 ranks, 4 samples each:  step 1 ... 5  checkpoint  6  7  kill -9
//                                              |
//   2 ranks, 6 samples each:                   +------> 6 ... 10          a weight per sample; a step adds 1 to those of its 12 samples
//
#include <penstock/penstock.hpp>
#include <penstock/train.hpp>

#include <torch/nn/modules.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <unistd.h>

namespace ps = penstock;
namespace fs = std::filesystem;
namespace train = penstock::train;

constexpr std::int64_t samples = 120, per_step = 12;

template <class Number>
struct example {
    Number number;  // on the host one number, on the device a tensor of them
};

// Called after each optimizer step, on every rank: kills its own rank in the middle of the epoch.
struct power_cut {
    ps::dist::context* ctx;
    std::uint64_t at;

    template <class Step>
    void on_step(Step const& info) const {
        if (info.step != at || ctx->rank() != 1) return;
        std::cout << "  step " << at << ": the power of rank 1 is cut" << std::endl;
        std::raise(SIGKILL);
    }
};

// One job: the ranks of it are processes, and each runs this. Three lines of it know about resuming: .checkpoint, .save_every and .resume.
void run(ps::dist::context& ctx, std::string const& folder, std::uint64_t cut_at) {
    auto data = ps::shard_list(folder + "/train-{0..4}.tar") | ps::shuffle_shards() | ps::split_by_rank(ctx.world()) | ps::read_tar() | ps::shuffle(20)
              | ps::map([](ps::fields const& f) { return example{f.integer("cls")}; })
              | ps::batch(per_step / ctx.world_size()) | ps::to_device(ctx);

    // A loss of -1 for every sample: its gradient adds lr / 12 = 1 to the weight of the sample, and to no other.
    auto net = torch::nn::Embedding(torch::nn::EmbeddingOptions(samples, 1)._weight(at::zeros({samples, 1})));
    auto loss = [](auto& model, auto const& b) { return train::loss_sum{-model->forward(b.number).sum(), b.weight()}; };
    auto const report = std::move(data)
                      | train::fit(ctx, net, train::sgd(net, {.lr = per_step, .momentum = 0}), loss,
                                   {.seed = 4, .precision = train::precision::fp32, .checkpoint = folder + "/run", .save_every = 5,
                                    .resume = train::resume::if_possible, .quiet = true},
                                   power_cut{&ctx, cut_at});
    if (ctx.rank() != 0) return;
    std::cout << "  step " << report.steps << ": the epoch is over\n\n";
    for (std::int64_t times = 0; times <= 2; ++times)
        std::cout << (net->weight.detach() == times).sum().item<std::int64_t>() << " samples have trained the model " << times << (times == 1 ? " time\n" : " times\n");
}

// Starts a job as `program --nproc=N` does in a shell, and shows how it ends if it does not end well.
void job(std::string const& ranks, std::string const& folder, std::string const& cut_at) {
    std::cout << "a job of " << ranks << " ranks" << std::endl;
    auto const program = fs::read_symlink("/proc/self/exe").string();
    (void)std::system(("OMP_NUM_THREADS=1 '" + program + "' --nproc=" + ranks + " '" + folder + "' " + cut_at + " 2> '" + folder + "/said'").c_str());
    std::ifstream said(folder + "/said");
    for (std::string line; std::getline(said, line);)
        if (line.find("have ended") != line.npos) std::cout << "  " << line << '\n';
}

int main(int argc, char** argv) {
    if (argc > 1) return ps::dist::run(argc, argv, [](ps::dist::context& ctx, int, char** rest) { run(ctx, rest[1], std::stoull(rest[2])); });

    auto const folder = (fs::temp_directory_path() / ("penstock-10-" + std::to_string(::getpid()))).string();
    (void)(ps::range(samples) | ps::map([](std::int64_t i) {
               ps::fields sample({}, "s" + std::to_string(i), 0);
               sample.add("cls", ps::blob::of(std::to_string(i)));
               return sample;
           })
           | ps::write_tar(folder + "/train-{}.tar", {.sizes = {50, 7, 31, 2, 30}, .digits = 1}));
    job("3", folder, "7");
    job("2", folder, "0");
    fs::remove_all(folder);
}

// Output:
//   a job of 3 ranks
//     step 7: the power of rank 1 is cut
//     penstock: all 3 ranks have ended: rank 1 was killed by signal 9 (SIGKILL)
//   a job of 2 ranks
//     step 10: the epoch is over
//
//   0 samples have trained the model 0 times
//   120 samples have trained the model 1 time
//   0 samples have trained the model 2 times
