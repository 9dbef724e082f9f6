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
#include <filesystem>
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

// A run from the beginning wants an empty folder: the one before becomes <folder>.old, and what was there goes.
static void make_room(ps::dist::context& ctx, std::filesystem::path const& folder) {
    if (ctx.rank() == 0 && std::filesystem::exists(folder)) {
        auto const old = std::filesystem::path(folder.string() + ".old");
        std::filesystem::remove_all(old);
        std::filesystem::rename(folder, old);
    }
    ctx.barrier();
}

static void train_on(ps::dist::context& ctx, settings const& s) {
    if (s.resume == "no") make_room(ctx, s.checkpoint);
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
        return std::array{train::metric{"accuracy", (model->forward(b.image).argmax(1) == b.label).sum(), b.weight()}};
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
    return ps::dist::run(argc, argv, [](ps::dist::context& ctx, int count, char** arguments) {
        settings s;
        CLI::App app{"Trains a small convolutional network on Fashion-MNIST in WebDataset shards; --nproc=N starts N ranks."};
        app.add_option("--data", s.data, "folder of the shards")->capture_default_str();
        app.add_option("--epochs", s.epochs, "passes over the training set")->capture_default_str();
        app.add_option("--batch", s.batch, "samples per rank and micro-batch")->check(CLI::PositiveNumber)->capture_default_str();
        app.add_option("--accumulate", s.accumulate, "micro-batches per optimizer step")->check(CLI::PositiveNumber)->capture_default_str();
        app.add_option("--window", s.window, "samples the shuffle mixes over")->capture_default_str();
        app.add_option("--lr", s.lr, "highest learning rate")->capture_default_str();
        app.add_option("--seed", s.seed, "of weights, order and augmentation")->capture_default_str();
        app.add_option("--checkpoint", s.checkpoint, "folder of the checkpoints")->capture_default_str();
        app.add_option("--save-every", s.save_every, "optimizer steps between checkpoints")->capture_default_str();
        app.add_option("--csv", s.csv, "file for the metrics");
        app.add_flag("--resume{yes}", s.resume, "go on from the newest complete checkpoint; --resume=ledger: with changed stages as well")->check(CLI::IsMember({"no", "yes", "ledger"}));
        app.add_flag("--fp32", s.fp32, "no bfloat16, even where the processor has it");
        app.add_flag("--quiet", s.quiet, "no progress");
        try {
            app.parse(count, arguments);
        } catch (CLI::ParseError const& e) {
            if (ctx.rank() == 0) app.exit(e);
            if (e.get_exit_code() != 0) throw ps::config_error(ps::message("train_classifier: ", e.what(), "\n  HINT: --help lists the flags"));
            return;
        }
        train_on(ctx, s);
    });
}
