#include <penstock/tensor/to_device.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>

#include <array>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {
template <class Image, class Label>
struct example {
    Image image;
    Label label;
};
struct context {
    at::Device where;
    at::Device device() const { return where; }
};
auto pictures(std::int64_t n) {
    return ps::range(n) | ps::map([](std::int64_t i) {
               ps::image::pixels p(4, 4, 1);
               for (auto& v : p.writable()) v = static_cast<std::uint8_t>(i);
               return example{std::move(p), i};
           });
}
template <class P>
std::vector<std::int64_t> labels(P& p) {
    std::vector<std::int64_t> all;
    while (auto b = p.next())
        for (std::int64_t i = 0; i != static_cast<std::int64_t>(b->size()); ++i) {
            all.push_back(b->label[i].template item<std::int64_t>());
            if (b->image[i][0][0][0].template item<int>() != static_cast<std::uint8_t>(all.back())) throw std::logic_error("picture and label of different samples");
        }
    return all;
}
/// Keyed items with weights, as a reader yields them.
struct keyed_numbers {
    using item_type = ps::keyed<float>;
    std::uint64_t n, at = 0;
    std::optional<item_type> next() {
        if (at == n) return std::nullopt;
        auto const i = at++;
        return item_type{.id = 50 + i, .pass = 3, .cover = ps::cover::at(1000 + i), .weight = i == 1 ? 0.0 : 0.5, .value = static_cast<float>(i)};
    }
};
}  // namespace

TEST_CASE("to_device: the example", "[unit][to_device]") {
    // example-begin to_device
    auto p = ps::from_vector(std::vector{1.5, 2.5, 3.5}) | ps::batch(2) | ps::to_device(at::kCPU);    // tensors `data` [2] and [1]
    // example-end
    CHECK(p.next()->data.sizes() == at::IntArrayRef({2}));
    CHECK(p.next()->data[0].item<double>() == 3.5);
    CHECK_FALSE(p.next());
}

TEST_CASE("to_device: every sample once, in order, epoch after epoch", "[unit][to_device]") {
    ps::executor pool(1);
    auto p = pictures(100) | ps::batch(8) | ps::to_device(context{at::kCPU}, {.executor = &pool});
    std::vector<std::int64_t> expected(100);
    std::iota(expected.begin(), expected.end(), 0);
    for (std::uint64_t e = 0; e != 3; ++e) {
        p.reset(1, e);
        CHECK(labels(p) == expected);
    }
}

TEST_CASE("to_device: ids, covers and weights travel on the host", "[unit][to_device]") {
    auto p = ps::pipeline(keyed_numbers{3}) | ps::batch(2) | ps::to_device(at::kCPU);
    auto const b = p.next().value();
    CHECK(b.ids == std::vector<std::uint64_t>{50, 51});
    CHECK(b.pass == 3);
    CHECK(b.cover.count() == 2);
    CHECK(b.weights == std::vector<double>{0.5, 0.0});
    CHECK(b.weight() == 0.5);
    CHECK(b.size() == 2);
    auto const last = p.next().value();
    CHECK(last.size() == 1);
    CHECK(last.data.sizes() == at::IntArrayRef({1}));
}

TEST_CASE("to_device: resumes between any two batches, those that are ready not counted", "[unit][to_device]") {
    ps::executor pool(1);
    auto const make = [&] { return pictures(60) | ps::shuffle(10) | ps::batch(7) | ps::to_device(at::kCPU, {.ahead = 3, .executor = &pool}); };
    for (int k = 0; k <= 10; ++k) {
        auto p = make();
        p.reset(9, 4);
        for (int i = 0; i != k; ++i) (void)p.next();
        auto const s = p.save();
        auto const tail = labels(p);
        auto q = make();
        q.load(ps::state::parse(s.text()));
        CHECK(labels(q) == tail);
    }
}

TEST_CASE("to_device: slabs are allocated in the first batches only, over epochs and while batches are held", "[unit][to_device]") {
    ps::executor pool(1);
    auto p = pictures(400) | ps::batch(8) | ps::to_device(at::kCPU, {.ahead = 2, .mean = {0.5}, .std = {0.5}, .executor = &pool});
    std::vector<void const*> seen;
    for (std::uint64_t e = 0; e != 4; ++e) {
        p.reset(1, e);
        std::vector<at::Tensor> window;
        while (auto b = p.next()) {
            window.push_back(b->image);
            if (window.size() == 3) window.clear();
            auto const* at = b->image.const_data_ptr();
            if (std::find(seen.begin(), seen.end(), at) == seen.end()) seen.push_back(at);
        }
    }
    CHECK(seen.size() <= 6);  // two ready, one in the making, three held
}

TEST_CASE("to_device: batches that are kept stay as they are, and outlive the pipeline", "[unit][to_device]") {
    std::vector<at::Tensor> kept;
    {
        ps::executor pool(1);
        auto p = pictures(64) | ps::batch(8) | ps::to_device(at::kCPU, {.executor = &pool});
        while (auto b = p.next()) kept.push_back(b->label);
    }
    for (std::size_t i = 0; i != kept.size(); ++i)
        for (std::int64_t k = 0; k != 8; ++k) CHECK(kept[i][k].item<std::int64_t>() == static_cast<std::int64_t>(8 * i) + k);
}

TEST_CASE("to_device: normalised floats have the same bits however far ahead they are made", "[unit][to_device]") {
    ps::executor pool(2);
    auto const all = [&](std::int64_t ahead) {
        auto p = pictures(50) | ps::batch(8) | ps::to_device(at::kCPU, {.ahead = ahead, .mean = {0.286}, .std = {0.353}, .executor = &pool});
        std::vector<float> v;
        while (auto b = p.next()) {
            auto const flat = b->image.contiguous();
            v.insert(v.end(), flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
        }
        return v;
    };
    CHECK(all(1) == all(7));
    CHECK(all(1)[49 * 16] == static_cast<float>((49 / 255.0 - 0.286) / 0.353));
}

TEST_CASE("to_device: an error comes in order and costs its batch only", "[unit][to_device]") {
    auto p = ps::range(6) | ps::map([](std::int64_t i) { return ps::image::pixels(static_cast<std::uint32_t>(i == 3 ? 2 : 1), 1, 1); }) | ps::batch(2) | ps::to_device(at::kCPU);
    CHECK(p.next()->size() == 2);
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK(p.next()->size() == 2);
    CHECK_FALSE(p.next());
}

TEST_CASE("to_device: tells what it did", "[unit][to_device]") {
    auto p = pictures(32) | ps::batch(8) | ps::to_device(at::kCPU);
    (void)labels(p);
    auto const r = p.stats();
    REQUIRE(r.size() >= 2);
    CHECK(r[r.size() - 2].name == "collate");
    CHECK(r[r.size() - 2].items == 32);
    CHECK(r[r.size() - 2].busy_ns > 0);
    CHECK(r.back().name == "to_device");
    CHECK(r.back().items == 4);
}

TEST_CASE("to_device: wrong arguments are named", "[unit][to_device]") {
    auto const text = [](auto f) -> std::string {
        try {
            f();
        } catch (ps::config_error const& e) {
            return e.what();
        }
        return "nothing thrown";
    };
    CHECK(text([] { (void)ps::to_device(at::Device(at::kCUDA, 1)); }).find("to_device(cuda:1): this program was built without the cuda room\n  HINT") != std::string::npos);
    CHECK(text([] { (void)ps::to_device(context{at::kCUDA}); }).find("cuda room") != std::string::npos);
    CHECK(text([] { (void)ps::to_device(at::kCPU, {.ahead = 0}); }).find("got 0\n  HINT") != std::string::npos);
    CHECK(text([] { (void)ps::to_device(at::kCPU, {.mean = {0, 0}, .std = {1, 1, 1}}); }).find("got 2 and 3\n  HINT") != std::string::npos);
}
