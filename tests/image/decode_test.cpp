// Implements: tests of the stage decode.
#include <penstock/image/decode.hpp>

#include "jpeg_maker.hpp"

#include <penstock/image/encode_png.hpp>
#include <penstock/stages/map.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace image = penstock::image;
namespace test = penstock::test;

namespace {

ps::sample make_sample(std::uint64_t id, std::uint64_t pass = 0) {
    auto picture = test::scene(28, 28, 1);
    picture.set(0, 0, 0, static_cast<std::uint8_t>(id));
    auto files = ps::fields(std::make_shared<ps::shard_name const>("train-0.tar"), "s" + std::to_string(id), id * 1024);
    files.add("png", image::encode_png(picture));
    files.add("cls", ps::blob::of(std::to_string(id % 10)));
    return {.id = id, .pass = pass, .cover = {}, .key = files.key(), .value = std::move(files)};
}

struct shelf {  // samples in order, with a position
    using item_type = ps::sample;
    std::vector<ps::sample> samples;
    std::size_t at = 0;
    std::shared_ptr<ps::epoch> told = std::make_shared<ps::epoch>();

    std::optional<ps::sample> next() {
        if (at == samples.size()) return std::nullopt;
        return samples[at++];
    }
    void reset(ps::epoch e) {
        at = 0;
        *told = e;
    }
    ps::size_hint hint() const { return {samples.size() - at, samples.size() - at}; }
    ps::chain_facts facts() const { return ps::whole_of(samples.size()); }
    void save(ps::state_writer& w) const { w.stage("shelf", 1).put("at", at); }
    void load(ps::state_reader& r) { at = r.stage("shelf", 1).get("at"); }
};

shelf shelf_of(std::uint64_t n, std::uint64_t pass = 0) {
    shelf s;
    for (std::uint64_t id = 0; id != n; ++id) s.samples.push_back(make_sample(id, pass));
    return s;
}

auto const augmented = image::decode_options{.channels = image::channels::gray, .crop = image::random_crop(28, 28, {.padding = 4}), .flip = 0.5};

template <class P>
std::map<std::uint64_t, image::pixels> pictures(P chain, ps::epoch e = ps::epoch::of(5, 0)) {
    auto out = std::map<std::uint64_t, image::pixels>();
    chain.reset(e);
    while (auto item = chain.next()) out.emplace(item->id, std::move(item->value).image());
    return out;
}

template <class F>
std::string text_of(F f) {
    try {
        f();
    } catch (ps::error const& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("decode: the picture beside the other fields", "[unit][decode]") {
    auto samples = ps::pipeline(shelf_of(3));
    // example-begin decode
    auto chain = std::move(samples) | image::decode("jpg;png", {.channels = image::channels::gray, .crop = image::random_crop(28, 28, {.padding = 4}), .flip = 0.5});
    // example-end decode
    chain.reset(5, 0);
    auto item = chain.next();
    REQUIRE(item);
    static_assert(std::same_as<decltype(item)::value_type, ps::keyed<image::decoded>>);
    CHECK(item->key == "s0");
    auto const& s = item->value;
    CHECK(s.image().shape() == image::shape{28, 28, 1});
    CHECK(s.integer("cls") == 0);
    CHECK(s.text("cls") == "0");
    CHECK(s.bytes("cls").size() == 1);
    CHECK(s.has("png"));
    CHECK_FALSE(s.has("jpg"));
    CHECK(s.key() == "s0");
    CHECK(s.where().shard == "train-0.tar");
    CHECK(chain.hint() == ps::size_hint{2, 2});
    CHECK(chain.world_max() == 3);
}

TEST_CASE("decode: pixels move out of an rvalue and are shared by a copy", "[unit][decode]") {
    auto chain = ps::pipeline(shelf_of(1)) | image::decode("png");
    auto item = chain.next();
    auto const* bytes = item->value.image().data();
    struct example { image::pixels picture; std::int64_t label; };
    auto const by_reference = [](auto const& s) { return example{s.image(), s.integer("cls")}; };
    auto const forwarding = [](auto&& s) { return example{std::forward<decltype(s)>(s).image(), 0}; };
    CHECK(by_reference(item->value).picture.data() == bytes);
    CHECK(forwarding(std::move(item->value)).picture.data() == bytes);
    CHECK(item->value.image().empty());
}

TEST_CASE("decode: map makes the user's struct of picture and label", "[unit][decode]") {
    struct example { image::pixels picture; std::int64_t label; };
    auto chain = ps::pipeline(shelf_of(12)) | image::decode("jpg;png", augmented) | ps::map([](auto const& s) { return example{s.image(), s.integer("cls")}; });
    auto const whole = pictures(ps::pipeline(shelf_of(12)) | image::decode("png", augmented));
    chain.reset(5, 0);
    while (auto item = chain.next()) {
        CHECK(item->value.picture == whole.at(item->id));
        CHECK(item->value.label == static_cast<std::int64_t>(item->id % 10));
    }
}

TEST_CASE("decode: tells what it did", "[unit][decode]") {
    auto s = shelf_of(5);
    auto broken = ps::fields(nullptr, "bad", 0);
    broken.add("png", ps::blob::of("?"));
    s.samples[3].value = broken;
    auto chain = ps::pipeline(std::move(s)) | image::decode("png", augmented);
    for (int i = 0; i != 3; ++i) CHECK(chain.next());
    CHECK_THROWS_AS(chain.next(), ps::stage_error);
    CHECK(chain.next());
    auto const report = chain.stats();
    REQUIRE(report.size() == 1);
    CHECK(report[0].name == "image::decode");
    CHECK(report[0].items == 4);
    CHECK(report[0].bytes == 4 * 784);
    CHECK(report[0].errors == 1);
    CHECK(chain.inner().warnings() == 0);
}

TEST_CASE("decode: without crop and flip the pixels are the file's", "[unit][decode]") {
    auto const got = pictures(ps::pipeline(shelf_of(4)) | image::decode("jpg;png", {.channels = image::channels::as_stored}));
    auto picture = test::scene(28, 28, 1);
    picture.set(0, 0, 0, 3);
    CHECK(got.at(3) == picture);
    auto const rgb = pictures(ps::pipeline(shelf_of(1)) | image::decode("png"));
    CHECK(rgb.at(0).channels() == 3);
}

TEST_CASE("decode: crops and flips are those of the keys 'crop' and 'flip' of the epoch", "[unit][decode]") {
    auto const e = ps::epoch::of(5, 2);
    auto const got = pictures(ps::pipeline(shelf_of(64, 9)) | image::decode("png", augmented), e);
    int flipped = 0;
    for (auto const& [id, picture] : got) {
        auto crop = ps::random_stream(ps::child_key(e.key, "crop"), 9, id), flip = ps::random_stream(ps::child_key(e.key, "flip"), 9, id);
        auto const top = std::int64_t{crop.below(9)} - 4, left = std::int64_t{crop.below(9)} - 4;
        auto const mirrored = flip.chance(0.5);
        flipped += mirrored;
        auto source = test::scene(28, 28, 1);
        source.set(0, 0, 0, static_cast<std::uint8_t>(id));
        CHECK(picture == image::crop_flip(source, {{top, left, 28, 28}, mirrored}));
    }
    CHECK(flipped > 10);
    CHECK(flipped < 54);
}

TEST_CASE("decode: the bits of a sample depend on seed, pass and identity, not on order or epoch index", "[unit][decode]") {
    auto const run = [](shelf s, ps::epoch e) { return pictures(ps::pipeline(std::move(s)) | image::decode("png", augmented), e); };
    auto const first = run(shelf_of(40), ps::epoch::of(5, 0));
    auto turned = shelf_of(40);
    std::reverse(turned.samples.begin(), turned.samples.end());
    CHECK(run(turned, ps::epoch::of(5, 0)) == first);
    auto some = shelf_of(40);
    some.samples.erase(some.samples.begin(), some.samples.begin() + 17);
    auto const part = run(some, ps::epoch::of(5, 0));
    CHECK(std::all_of(part.begin(), part.end(), [&](auto const& p) { return first.at(p.first) == p.second; }));

    auto const differing = [&](auto const& other) { return std::count_if(first.begin(), first.end(), [&](auto const& p) { return !(other.at(p.first) == p.second); }); };
    CHECK(differing(run(shelf_of(40, 1), ps::epoch::of(5, 0))) > 35);  // another pass
    CHECK(differing(run(shelf_of(40), ps::epoch::of(6, 0))) > 35);     // another seed
}

TEST_CASE("decode: keeps its own key and hands a child upstream", "[unit][decode]") {
    auto s = shelf_of(1);
    auto const told = s.told;
    auto chain = ps::pipeline(std::move(s)) | image::decode("png");
    chain.reset(ps::epoch::of(5, 3));
    CHECK(*told == ps::epoch::of(5, 3).child("decode"));
}

TEST_CASE("decode: resumes at every position with the same bits", "[unit][decode]") {
    constexpr std::uint64_t n = 7;
    auto const make = [] { return ps::pipeline(shelf_of(n)) | image::decode("png", augmented); };
    auto const whole = pictures(make());
    for (std::uint64_t k = 0; k != n + 1; ++k) {
        auto first = make();
        first.reset(5, 0);
        for (std::uint64_t i = 0; i != k; ++i) CHECK(first.next().has_value());
        auto const saved = first.save();
        auto second = make();
        second.load(saved);
        auto tail = std::uint64_t{0};
        while (auto item = second.next()) {
            CHECK(item->id == k + tail++);
            CHECK(item->value.image() == whole.at(item->id));
        }
        CHECK(tail == n - k);
    }
}

TEST_CASE("decode: internal iteration and discarding see the same items", "[unit][decode]") {
    auto const whole = pictures(ps::pipeline(shelf_of(9)) | image::decode("png", augmented));
    for (std::uint64_t stop = 1; stop != 10; ++stop) {
        auto chain = ps::pipeline(shelf_of(9)) | image::decode("png", augmented);
        chain.reset(5, 0);
        std::uint64_t seen = 0;
        auto look = [&](ps::keyed<image::decoded>&& item) {
            CHECK(item.value.image() == whole.at(item.id));
            return ++seen != stop;
        };
        CHECK(chain.for_each_while(look) == false);
        CHECK(seen == stop);
        auto& stage = chain.inner();
        if (stop < 8) {
            CHECK(stage.discard());
            CHECK(chain.next()->id == stop + 1);
        }
    }
}

TEST_CASE("decode: a bad picture is an error that names it, in order, and the next one comes", "[unit][decode]") {
    auto s = shelf_of(3);
    auto broken = ps::fields(std::make_shared<ps::shard_name const>("train-0.tar"), "s1", 1024);
    broken.add("jpg", ps::blob::of("<html>not found</html>"));
    s.samples[1].value = broken;
    auto chain = ps::pipeline(std::move(s)) | image::decode("jpg;png", augmented);
    CHECK(chain.next()->id == 0);
    try {
        (void)chain.next();
        FAIL("HTML was decoded");
    } catch (ps::stage_error const& e) {
        CHECK(e.stage == "image::decode");
        CHECK(e.kind == ps::fault::content);
        CHECK(e.where.shard == "train-0.tar");
        CHECK(e.where.key == "s1");
        CHECK(e.where.byte == 1024);
        CHECK(e.where.sample == 1);
        CHECK(std::string(e.what()).find("neither PNG nor JPEG: it starts with '<html>not fo'") != std::string::npos);
    }
    CHECK(chain.next()->id == 2);
    CHECK_FALSE(chain.next());
    CHECK_FALSE(chain.next());
}

TEST_CASE("decode: cut files, missing fields, small pictures and wild windows name their sample", "[unit][decode]") {
    auto const with = [](std::string const& file, image::decode_options const& options, char const* names = "jpg;png") {
        auto s = shelf_of(1);
        auto files = ps::fields(std::make_shared<ps::shard_name const>("a.tar"), "k", 512);
        files.add("jpg", ps::blob::of(file));
        s.samples[0].value = files;
        auto chain = ps::pipeline(std::move(s)) | image::decode(names, options);
        return text_of([&] { (void)chain.next(); });
    };
    auto const jpeg = test::jpeg_file{.picture = test::scene(20, 20, 3)}.bytes();
    auto const named = [](std::string const& text) { return text.find("a.tar, sample 'k'") != text.npos && text.find("HINT") != text.npos; };
    for (std::size_t n = 0; n < jpeg.size(); n += 13) CHECK(named(with(jpeg.substr(0, n), augmented)));
    CHECK(named(with(jpeg, {}, "webp;png")));
    auto const small = with(jpeg, {.crop = image::random_crop(64, 64, {.padding = 2})});
    CHECK(named(small));
    CHECK(small.find("got 20x20 with padding 2") != small.npos);
    CHECK(named(with(jpeg, {.max_pixels = 10})));
    auto const wild = [](std::int64_t top, std::uint32_t height) { return image::decode_options{.crop = [=](image::shape, ps::random_stream&) { return image::box{top, 0, height, 4}; }}; };
    CHECK(named(with(jpeg, wild(0, 0))));
    CHECK(named(with(jpeg, wild(0, 0x40000000))));
    CHECK(named(with(jpeg, wild(std::numeric_limits<std::int64_t>::min(), 4))));
    CHECK(with(jpeg, wild(-2, 4)).empty());
    auto const scaled = with(jpeg, {.crop = [](image::shape of, ps::random_stream&) {
        auto g = image::geometry(of);
        g.width = 7;
        return g;
    }});
    CHECK(named(scaled));
    CHECK(scaled.find("as large as its box in the picture, 20x20, got 20x7") != scaled.npos);
}

TEST_CASE("decode: whatever fails keeps the positions of its sample and is counted", "[unit][decode]") {
    auto const failing = [](std::string const& file, char const* names, image::crop crop, ps::fault kind) {
        auto s = shelf_of(2);
        auto files = ps::fields(std::make_shared<ps::shard_name const>("a.tar"), "k", 512);
        files.add("jpg", ps::blob::of(file));
        s.samples[0].value = files;
        s.samples[0].cover.add({40, 42});
        auto chain = ps::pipeline(std::move(s)) | image::decode(names, {.crop = std::move(crop)});
        try {
            (void)chain.next();
            FAIL("nothing was thrown");
        } catch (ps::stage_error const& e) {
            CHECK(e.kind == kind);
            CHECK(e.where.sample == 0);
            CHECK(e.positions.count() == 2);
            CHECK(chain.stats()[0].errors == 1);
            return std::string(e.what());
        }
        return std::string();
    };
    auto const jpeg = test::jpeg_file{.picture = test::scene(20, 20, 3)}.bytes();
    CHECK(failing("?", "jpg", {}, ps::fault::content).find("neither PNG nor JPEG") != std::string::npos);
    auto const absent = failing(jpeg, "webp", {}, ps::fault::content);
    CHECK(absent.starts_with("image::decode: "));
    CHECK(absent.find("no field 'webp'; it has: jpg") != std::string::npos);
    auto const faulty = [](image::shape, ps::random_stream&) -> image::box { throw std::runtime_error("no box for it"); };
    CHECK(failing(jpeg, "jpg", faulty, ps::fault::user).find("no box for it") != std::string::npos);
}

TEST_CASE("decode: pictures taken in spite of damage are told", "[unit][decode]") {
    auto s = shelf_of(3);
    auto const png = std::string(image::encode_png(test::scene(28, 28, 1)).text());
    for (std::size_t i : {0u, 2u}) {
        auto files = ps::fields();
        files.add("png", ps::blob::of(png.substr(0, png.size() - 30)));
        s.samples[i].value = files;
    }
    auto chain = ps::pipeline(std::move(s)) | image::decode("png", {.allow_truncated = true});
    CHECK(chain.next());
    CHECK(chain.stats()[0].note == "1 picture was decoded in spite of damage or an oddity of the file");
    while (chain.next()) {}
    CHECK(chain.stats()[0].note == "2 pictures were decoded in spite of damage or an oddity of the file");
}

TEST_CASE("decode: wrong options are refused while building", "[unit][decode]") {
    CHECK(text_of([] { (void)image::decode(""); }).find("names must not be empty") != std::string::npos);
    CHECK(text_of([] { (void)image::decode("png", {.flip = 1.5}); }).find("got 1.5") != std::string::npos);
    CHECK(text_of([] { (void)image::decode("png", {.flip = std::numeric_limits<double>::quiet_NaN()}); }).find("HINT") != std::string::npos);
    CHECK(text_of([] { (void)image::decode("png", {.max_pixels = 0}); }).find("got 0") != std::string::npos);
}

TEST_CASE("decode: a chain is a value that can be used twice", "[unit][decode]") {
    auto const prepare = image::decode("png", augmented);
    CHECK(pictures(ps::pipeline(shelf_of(5)) | prepare) == pictures(ps::pipeline(shelf_of(5)) | prepare));
}
