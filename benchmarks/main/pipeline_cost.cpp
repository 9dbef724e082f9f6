// What does a sample cost from the tar file to the augmented batch? CPU time over an epoch of Fashion-MNIST in shards, on one thread.
// Growing prefixes of the example's chain take turns; a stage costs what its prefix costs over the one before it, round by round.
#include <support/bench.hpp>
#include <support/fashion_data.hpp>

#include <penstock/penstock.hpp>

#include <spng.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

struct example {
    ps::image::pixels image;
    std::int64_t label;
};

std::size_t items_of(auto const&) { return 1; }
template <class T>
std::size_t items_of(ps::batch_of<T> const& b) { return b.size(); }

/// CPU microseconds per sample of pulling one epoch.
double pull(auto chain) {
    std::size_t samples = 0;
    auto const spent = bench::measure([&] {
        while (auto item = chain.next()) {
            samples += items_of(*item);
            bench::keep(*item);
        }
    });
    if (samples != bench::fashion_data::samples) throw std::runtime_error("an epoch had " + std::to_string(samples) + " samples");
    return 1e6 * spent.cpu_s / static_cast<double>(samples);
}

/// The limit: libspng on the same bytes in memory, as decode asks it.
double decode_alone(std::vector<ps::blob> const& pictures) {
    std::array<std::uint8_t, 28 * 28> out{};
    auto const spent = bench::measure([&] {
        for (auto const& png : pictures) {
            auto const c = std::unique_ptr<spng_ctx, decltype(&spng_ctx_free)>(spng_ctx_new(SPNG_CTX_IGNORE_ADLER32), &spng_ctx_free);
            if (spng_set_png_buffer(c.get(), png.data(), png.size()) != 0 || spng_decode_image(c.get(), out.data(), out.size(), SPNG_FMT_G8, 0) != 0 ||
                spng_decode_chunks(c.get()) != 0)
                throw std::runtime_error("libspng refuses a picture of the shards");
            bench::keep(out);
        }
    });
    return 1e6 * spent.cpu_s / static_cast<double>(pictures.size());
}

std::vector<double> difference(std::vector<double> const& a, std::vector<double> const& b) {
    std::vector<double> d;
    for (std::size_t i = 0; i != a.size(); ++i) d.push_back(a[i] - b[i]);
    return d;
}

void measure(int argc, char** argv) {
    bench::fashion_data const data;
    constexpr auto gray = ps::image::channels::gray;

    auto const tar = [&] { return ps::shard_list(data.train()) | ps::shuffle_shards() | ps::read_tar(); };
    auto const shuffled = [&] { return tar() | ps::shuffle(5'000); };
    auto const decoded = [&] { return shuffled() | ps::image::decode("png", {.channels = gray}); };
    auto const augmented = [&] {
        return shuffled() | ps::image::decode("png", {.channels = gray, .crop = ps::image::random_crop(28, 28, {.padding = 2}), .flip = 0.5});
    };
    auto const batched = [&] {
        return augmented() | ps::map([](auto&& s) { return example{std::move(s).image(), s.integer("cls")}; }) | ps::batch(64);
    };
    std::vector<ps::blob> pictures;
    for (auto chain = tar(); auto sample = chain.next();) pictures.push_back(sample->value.bytes("png"));

    auto const found = bench::interleave({{"tar", [&] { return pull(tar()); }},
                                          {"shuffle", [&] { return pull(shuffled()); }},
                                          {"decode", [&] { return pull(decoded()); }},
                                          {"augment", [&] { return pull(augmented()); }},
                                          {"batch", [&] { return pull(batched()); }},
                                          {"libspng", [&] { return decode_alone(pictures); }}});
    bench::report out("pipeline_cost", argc, argv);
    auto const add = [&](std::string name, std::vector<double> v, std::string vs = {}) {
        out.add({.name = std::move(name), .value = bench::summary(std::move(v)), .unit = "us/sample", .vs = std::move(vs)});
    };
    auto const decode = difference(found[2], found[1]);
    add("tar_us", found[0]);
    add("shuffle_us", difference(found[1], found[0]), "tar");
    add("decode_us", decode, "shuffle");
    add("augment_us", difference(found[3], found[2]), "decode");
    add("batch_us", difference(found[4], found[3]), "augment");
    add("pipeline_us", found[4]);
    add("libspng_us", found[5]);
    out.add({.name = "decode_over_libspng", .value = bench::ratio(decode, found[5]), .unit = "x", .vs = "libspng"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "pipeline_cost: %s\n", e.what());
        return 1;
    }
}
