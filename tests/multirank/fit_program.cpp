// A whole training job in small, for fit.py: real shards through the real chain; every rank logs what it trained on, bit by bit.
//
//   fit_program --make DIR                                  writes six uneven shards with 600 pictures
//   fit_program --data DIR --log FILE [...] --nproc=N       trains; rank r appends to FILE.r
#include <penstock/penstock.hpp>
#include <penstock/train.hpp>

#include <penstock/train/checksum.hpp>

#include <CLI/CLI.hpp>
#include <torch/nn/modules.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ps = penstock;
namespace train = penstock::train;

template <class Image, class Label>
struct example {
    Image image;
    Label label;
};

struct settings {
    std::string make, data, log, checkpoint, csv;
    std::uint64_t epochs = 2, save_every = 7, kill_at = 0, throw_at = 0, seed = 3;
    std::int64_t batch = 4, window = 100, hidden = 16;
    int accumulate = 2, kill_rank = -1;
    bool resume = false, ledger = false;
};

static void make_shards(std::string const& folder) {
    std::vector<std::uint64_t> const sizes{97, 5, 161, 48, 144, 145};
    std::vector<ps::fields> samples;
    for (std::uint32_t i = 0; i != 600; ++i) {
        ps::random_stream random(1, 0, i);
        ps::image::pixels picture(12, 12, 1);
        for (auto& p : picture.writable()) p = static_cast<std::uint8_t>(random.below(64) + 16 * (i % 10));
        ps::fields f({}, "sample" + std::to_string(i), 0);
        f.add("png", ps::image::encode_png(picture));
        f.add("cls", ps::blob::of(std::to_string(i % 10)));
        samples.push_back(std::move(f));
    }
    (void)(ps::from_vector(std::move(samples)) | ps::write_tar(folder + "/part-{}.tar", {.sizes = sizes, .digits = 1, .existing = ps::existing_shards::replace}));
}

static torch::nn::Sequential network(std::int64_t hidden) {
    namespace nn = torch::nn;
    return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(1, 4, 3)), nn::BatchNorm2d(4), nn::ReLU(), nn::Flatten(), nn::Linear(400, hidden), nn::ReLU(), nn::Dropout(0.2),
                          nn::Linear(hidden, 10));
}

/// What this rank did in every step: losses and weights as bits, a dropout mask, the ids it trained on, and how many batches were made ahead of the loop.
struct diary {
    ps::dist::context* ctx;
    settings const* s;
    torch::nn::Sequential net;
    std::atomic<std::uint64_t> const* made;
    std::ofstream* file;
    std::uint64_t trained = 0;

    template <class Info>
    void on_step(Info const& info) {
        std::string ids;
        for (auto const& b : info.batches) {
            for (auto id : b.ids) ids += std::to_string(id) + ",";
            ids += ";";
            ++trained;
        }
        std::uint32_t crc = 0;
        for (auto const& p : net->parameters()) crc = train::crc32c(p.const_data_ptr(), p.nbytes(), crc);
        if (s->save_every != 0 && info.step % s->save_every == 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));  // batches get ready meanwhile
        auto const mask = at::dropout(at::ones({64}), 0.5, true);
        char text[96];
        std::snprintf(text, sizeof text, " loss=%a weight=%a crc=%08x mask=%08x", info.loss.defined() ? info.loss.template item<double>() : 0.0, info.weight, crc,
                      train::crc32c(mask.const_data_ptr(), mask.nbytes(), 0));
        *file << "step=" << info.step << " epoch=" << info.epoch << text << " ids=" << ids << " ahead=" << made->load() - trained << std::endl;
        bool const mine = s->kill_rank < 0 || s->kill_rank == ctx->rank();
        if (info.step == s->kill_at && mine) std::raise(SIGKILL);
        if (info.step == s->throw_at && mine) throw std::runtime_error("the test throws here");
    }
};

static void train_on(ps::dist::context& ctx, settings const& s) {
    std::atomic<std::uint64_t> made = 0;
    auto data = ps::shard_list(s.data + "/part-{0..6}.tar") | ps::shuffle_shards() | ps::split_by_rank(ctx.world()) | ps::read_tar() | ps::shuffle(s.window)
              | ps::image::decode("png", {.channels = ps::image::channels::gray, .crop = ps::image::random_crop(12, 12, {.padding = 2}), .flip = 0.5})
              | ps::map([](auto const& f) { return example{f.image(), f.integer("cls")}; }) | ps::batch(s.batch) | ps::inspect([&made](auto const&) { ++made; })
              | ps::to_device(ctx, {.ahead = 4, .mean = {0.4}, .std = {0.3}});
    auto held_out = ps::shard_list(s.data + "/part-{0..6}.tar") | ps::split_by_rank(ctx.world()) | ps::read_tar()
                  | ps::image::decode("png", {.channels = ps::image::channels::gray})
                  | ps::map([](auto const& f) { return example{f.image(), f.integer("cls")}; }) | ps::batch(32) | ps::to_device(ctx, {.mean = {0.4}, .std = {0.3}});
    train::seed_generators(s.seed);
    auto net = network(s.hidden);
    std::ofstream log(s.log + "." + std::to_string(ctx.rank()), std::ios::app);
    auto loss = [](auto& model, auto const& b) {
        return train::loss_sum{at::cross_entropy_loss(model->forward(b.image), b.label, {}, at::Reduction::Sum), b.weight()};
    };
    auto metrics = [](auto& model, auto const& b) {
        auto const out = model->forward(b.image);
        return std::vector<train::metric>{{"accuracy", (out.argmax(1) == b.label).sum(), b.weight()},
                                          {"val_loss", at::cross_entropy_loss(out, b.label, {}, at::Reduction::Sum), b.weight()}};
    };
    auto report = std::move(data)
                | train::fit(ctx, net, train::adamw(net, {.lr = 1e-2}), loss,
                             {.epochs = s.epochs, .seed = s.seed, .accumulate = s.accumulate, .precision = train::precision::fp32,
                              .schedule = train::warmup(10) * train::cosine(80), .clip_norm = 1.0, .checkpoint = s.checkpoint, .save_every = s.checkpoint.empty() ? 0 : s.save_every,
                              .resume = s.ledger ? train::resume::ledger : s.resume ? train::resume::required : train::resume::never, .log_every = 5, .csv = s.csv, .bucket_bytes = 4096},
                             train::validate(std::move(held_out), metrics), diary{&ctx, &s, net, &made, &log});
    if (ctx.rank() == 0)
        std::printf("done steps=%llu samples=%llu stopped=%d accuracy=%a val_loss=%a\n", static_cast<unsigned long long>(report.steps),
                    static_cast<unsigned long long>(report.samples), report.stopped, report.last("accuracy"), report.last("val_loss"));
}

int main(int argc, char** argv) {
    settings s;
    CLI::App app{"a training job for the tests"};
    app.add_option("--make", s.make);
    app.add_option("--data", s.data);
    app.add_option("--log", s.log);
    app.add_option("--checkpoint", s.checkpoint);
    app.add_option("--csv", s.csv);
    app.add_option("--epochs", s.epochs);
    app.add_option("--save-every", s.save_every);
    app.add_option("--batch", s.batch);
    app.add_option("--window", s.window);
    app.add_option("--hidden", s.hidden);
    app.add_option("--accumulate", s.accumulate);
    app.add_option("--seed", s.seed);
    app.add_option("--kill-at", s.kill_at);
    app.add_option("--kill-rank", s.kill_rank);
    app.add_option("--throw-at", s.throw_at);
    app.add_flag("--resume", s.resume);
    app.add_flag("--resume-ledger", s.ledger);
    return ps::dist::run(argc, argv, [&](ps::dist::context& ctx, int count, char** arguments) {
        app.parse(count, arguments);
        if (!s.make.empty()) make_shards(s.make);
        else train_on(ctx, s);
    });
}
