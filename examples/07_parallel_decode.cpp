// 07: pictures decoded by several threads, one of them damaged: it is named, left out if you say so, and nothing else changes.
//
//                        +--> thread: decode --+
//   shard --> read_tar --+--> thread: decode --+--> parallel_map --> on_error --> batch(4)
//                        +--> thread: decode --+    in the old       leaves out
//                                                   order            what is damaged
#include <penstock/penstock.hpp>

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <numeric>
#include <string>

namespace ps = penstock;
namespace fs = std::filesystem;

struct temporary_folder {
    fs::path path = fs::temp_directory_path() / ("penstock-07-" + std::to_string(::getpid()));
    ~temporary_folder() { fs::remove_all(path); }
};

// A gray picture of one shade, as a PNG file. Number 5 loses its second half on the way.
ps::fields photo(std::int64_t i) {
    ps::image::pixels picture(64, 64, 1);
    for (std::uint32_t y = 0; y != 64; ++y)
        for (std::uint32_t x = 0; x != 64; ++x) picture.set(y, x, 0, static_cast<std::uint8_t>(20 * i));
    auto file = std::string(ps::image::encode_png(picture).text());
    if (i == 5) file.resize(file.size() / 2);
    ps::fields sample({}, "photo" + std::to_string(i), 0);
    sample.add("png", ps::blob::of(file));
    return sample;
}

// What a sample becomes: called by several threads at once, so it changes nothing but what it returns.
int brightness(ps::fields const& sample) {
    auto const picture = ps::image::decode_image(sample.bytes("png"));
    auto const bytes = picture.bytes();
    return std::accumulate(bytes.begin(), bytes.end(), 0) / static_cast<int>(bytes.size());
}

int main() {
    temporary_folder const folder;
    (void)(ps::range(12) | ps::map(photo) | ps::write_tar((folder.path / "photos-{}.tar").string(), {.digits = 1}));
    auto const shard = (folder.path / "photos-0.tar").string();

    // One word of the chain differs from map: same items, same order, whatever the number of threads.
    auto decoded = [&](int threads) { return ps::shard_list(shard) | ps::read_tar() | ps::parallel_map(brightness, {.threads = threads}); };

    // Without more, the damaged picture is an exception, at its place in the stream. It names the sample, and it costs that sample alone:
    // the next call goes on behind it.
    auto strict = decoded(3);
    std::cout << "strict:";
    for (bool more = true; more;) try {
            auto const item = strict.next();
            if (item) std::cout << ' ' << item->value;
            more = item.has_value();
        } catch (ps::stage_error const& e) {
            std::cout << " <" << e.where.key << " is damaged>";
        }
    std::cout << '\n';

    // on_error leaves damaged samples out, within limits, and tells. Failures of the disk or the network still pass through.
    for (int const threads : {1, 2, 8}) {
        int left_out = 0;
        auto batches = decoded(threads) | ps::on_error({.total = 3}, [&](ps::stage_error const&) { ++left_out; }) | ps::batch(4);
        std::cout << threads << (threads == 1 ? " thread:  " : " threads: ");
        for (auto const& b : batches) {
            std::cout << '[';
            for (std::size_t i = 0; i != b.size(); ++i) std::cout << (i ? " " : "") << b.ids[i] << '=' << b.items[i];
            std::cout << "] ";
        }
        std::cout << left_out << " left out\n";
    }

    // More than the limit allows is an error: a broken data set must not train in silence.
    try {
        auto none = decoded(2) | ps::map([](int shade) { return shade > 100 ? throw std::runtime_error("too bright") : shade; })
                  | ps::on_error({.total = 3, .user = true});
        std::cout << (std::move(none) | ps::count()) << " pictures\n";
    } catch (ps::stage_error const& e) {
        std::cout << "gave up at " << e.where.key << '\n';
    }
}

// Output:
//   strict: 0 20 40 60 80 <photo5 is damaged> 120 140 160 180 200 220
//   1 thread:  [0=0 1=20 2=40 3=60] [4=80 6=120 7=140 8=160] [9=180 10=200 11=220] 1 left out
//   2 threads: [0=0 1=20 2=40 3=60] [4=80 6=120 7=140 8=160] [9=180 10=200 11=220] 1 left out
//   8 threads: [0=0 1=20 2=40 3=60] [4=80 6=120 7=140 8=160] [9=180 10=200 11=220] 1 left out
//   gave up at photo8
