// Trains a small convolutional network on Fashion-MNIST in WebDataset shards, on any number of ranks.
//
//   train-*.tar --> shuffle_shards --> split_by_rank --> read_tar --> shuffle --> decode, crop, flip --> map --> batch --> to_device --+
//                                                                                                                                      |
//   val-*.tar ----> split_by_rank --> read_tar --> decode --> map --> batch --> to_device --> validate --+                            fit
//                                                                                                         +----- every epoch ---------->
//
//   ./train_classifier --data data/fashion-mnist --nproc=2
#include <penstock/penstock.hpp>
#include <penstock/train.hpp>

#include "fashion_network.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

namespace ps = penstock;
namespace train = penstock::train;

template <class Image, class Label>
struct example {  // on the host: pixels and a number; on the device: tensors [B, 1, 28, 28] and [B]
    Image image;
    Label label;
};

struct settings {
    std::string data = "data/fashion-mnist", checkpoint = "run/fashion-mnist", csv;
    std::uint64_t epochs = 8, seed = 1, save_every = 200;
    std::int64_t batch = 64, window = 5'000;
    int accumulate = 1;
    double lr = 4e-3;
    std::string resume = "no";
    bool fp32 = false, quiet = false;
};

static void train_on(ps::dist::context& ctx, settings const& s) {
    auto const pixels = ps::map([](auto&& sample) { return example{std::move(sample).image(), sample.integer("cls")}; });
    auto const device = ps::to_device(ctx, {.mean = {0.2860}, .std = {0.3530}, .layout = ps::tensor::layout::channels_last});

    auto data = ps::shard_list(s.data + "/train-{0000..0066}.tar") | ps::shuffle_shards() | ps::split_by_rank(ctx.world()) | ps::read_tar()
              | ps::shuffle(s.window)
              | ps::image::decode("png", {.channels = ps::image::channels::gray, .crop = ps::image::random_crop(28, 28, {.padding = 2}), .flip = 0.5})
              | pixels | ps::batch(s.batch) | device;
    auto held_out = ps::shard_list(s.data + "/test-{0000..0010}.tar") | ps::split_by_rank(ctx.world()) | ps::read_tar()
                  | ps::image::decode("png", {.channels = ps::image::channels::gray}) | pixels | ps::batch(250) | device;

    train::seed_generators(s.seed);
    auto net = fashion_network();
    auto const windows = (data.world_max().value() + static_cast<std::uint64_t>(s.accumulate) - 1) / static_cast<std::uint64_t>(s.accumulate);

    auto loss = [](auto& model, auto const& b) {
        return train::loss_sum{at::cross_entropy_loss(model->forward(b.image).to(at::kFloat), b.label, {}, at::Reduction::Sum), b.weight()};
    };
    auto accuracy = [](auto& model, auto const& b) {
        return std::array{train::metric{"accuracy", (model->forward(b.image).argmax(1) == b.label).sum(), b.weight(), train::best::highest}};
    };

    auto report = std::move(data)
                | train::fit(ctx, net, train::adamw(net, {.lr = s.lr, .weight_decay = 0.05}), loss,
                             {.epochs = s.epochs, .seed = s.seed, .accumulate = s.accumulate,
                              .precision = s.fp32 ? train::precision::fp32 : train::precision::automatic,
                              .schedule = train::warmup(100) * train::cosine(static_cast<double>(windows * s.epochs)),
                              .checkpoint = s.checkpoint, .save_every = s.save_every,
                              .resume = s.resume == "no" ? train::resume::never : s.resume == "ledger" ? train::resume::ledger : train::resume::if_possible,
                              .csv = s.csv, .quiet = s.quiet},
                             train::validate(std::move(held_out), accuracy));
    if (ctx.rank() == 0 && std::isfinite(report.last("accuracy"))) std::printf("test accuracy %.2f %%\n", 100 * report.last("accuracy"));
}

int main(int argc, char** argv) {
    settings s;
    std::string of_the_launch;  // dist::run reads these itself; they are named here for --help and for what looks like a flag and is none
    CLI::App app{"Trains a small convolutional network on Fashion-MNIST in WebDataset shards."};
    app.add_option("--data", s.data, "folder of the shards")->capture_default_str();
    app.add_option("--epochs", s.epochs, "passes over the training set")->capture_default_str();
    app.add_option("--batch", s.batch, "samples per rank and micro-batch")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--accumulate", s.accumulate, "micro-batches per optimizer step")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--window", s.window, "samples the shuffle mixes over")->capture_default_str();
    app.add_option("--lr", s.lr, "highest learning rate")->capture_default_str();
    app.add_option("--seed", s.seed, "of weights, order and augmentation")->capture_default_str();
    app.add_option("--checkpoint", s.checkpoint, "folder of the checkpoints; one that holds those of another run is refused without --resume")->capture_default_str();
    app.add_option("--save-every", s.save_every, "optimizer steps between checkpoints")->capture_default_str();
    app.add_option("--csv", s.csv, "file for the metrics");
    app.add_flag("--resume{yes}", s.resume, "go on from the newest complete checkpoint; --resume=ledger: with changed stages as well")->check(CLI::IsMember({"no", "yes", "ledger"}));
    app.add_flag("--fp32", s.fp32, "no bfloat16, even where the processor has it");
    app.add_flag("--quiet", s.quiet, "no progress");
    app.add_option("--nproc", of_the_launch, "ranks to start on this machine");
    app.add_option("--threads-per-rank", of_the_launch, "LibTorch's threads; not given: cores / ranks");
    app.add_option("--init-timeout", of_the_launch, "seconds until all ranks have joined");
    app.add_option("--step-timeout", of_the_launch, "seconds that a rank may be behind the others");
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : 2;  // before any rank is started: said once
    }
    return ps::dist::run(argc, argv, [&](ps::dist::context& ctx, int, char**) { train_on(ctx, s); });
}
