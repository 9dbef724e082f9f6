// Implements: tests of decode behind read_tar: real files of another writer, and damage inside a shard.
#include <penstock/image/decode.hpp>

#include <penstock/formats/read_tar.hpp>
#include <penstock/image/encode_png.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>

#include "jpeg_maker.hpp"

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace image = penstock::image;
namespace test = penstock::test;

namespace {

std::string gunzipped(std::string const& path) {
    auto const file = gzopen(path.c_str(), "rb");
    REQUIRE(file != nullptr);
    auto out = std::string();
    char block[4096];
    for (int n; (n = gzread(file, block, sizeof block)) > 0;) out.append(block, static_cast<std::size_t>(n));
    gzclose(file);
    return out;
}

struct example {
    image::pixels picture;
    std::int64_t label;
};

}  // namespace

TEST_CASE("decode: real samples of a WebDataset shard, to batches", "[unit][decode]") {
    test::temp_dir dir;
    auto const shard = dir.write("sample.tar", gunzipped(PENSTOCK_TEST_DATA "/webdataset/sample.tgz"));
    auto chain = ps::shard_list({shard}) | ps::read_tar() | image::decode("jpg;png", {.channels = image::channels::gray}) |
                 ps::map([](auto const& s) { return example{s.image(), s.integer("cls")}; }) | ps::batch(32);
    std::size_t count = 0;
    std::uint64_t bright = 0;
    while (auto batch = chain.next())
        for (auto const& e : batch->items) {
            ++count;
            CHECK(e.picture.shape() == image::shape{28, 28, 1});
            CHECK((e.label >= 0 && e.label <= 9));
            for (auto p : e.picture.bytes()) bright += p > 127;
        }
    CHECK(count == 90);
    CHECK(bright > 90 * 20);  // digits: some strokes, mostly background
    CHECK(bright < 90 * 300);
}

TEST_CASE("decode: a bad picture in a shard names shard, key and byte, and the next sample comes", "[unit][decode]") {
    test::temp_dir dir;
    auto const png = std::string(image::encode_png(test::scene(28, 28, 1)).text());
    auto tar = test::tar_maker{};
    tar.add("a.png", png).add("a.cls", "1").add("b.png", png.substr(0, png.size() - 20)).add("b.cls", "2").add("c.jpg", png).add("c.cls", "3").end();
    auto const shard = dir.write("train.tar", tar.bytes);
    auto chain = ps::shard_list({shard}) | ps::read_tar() | image::decode("jpg;png");
    CHECK(chain.next()->value.integer("cls") == 1);
    auto const b = tar.bytes.find("b.png");
    try {
        (void)chain.next();
        FAIL("a cut PNG was decoded");
    } catch (ps::stage_error const& e) {
        CHECK(e.where.shard == shard);
        CHECK(e.where.key == "b");
        CHECK(e.where.byte == b);
        CHECK(e.where.sample == 1);
        CHECK(e.kind == ps::fault::content);
        CHECK(std::string(e.what()).find("PNG of 28x28: ") != std::string::npos);
    }
    CHECK(chain.next()->value.integer("cls") == 3);  // a PNG named .jpg
    CHECK_FALSE(chain.next());
}
