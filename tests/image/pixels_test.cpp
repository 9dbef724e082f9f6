// Implements: tests of pixels.
#include <penstock/image/pixels.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <support/catch.hpp>

namespace image = penstock::image;

TEST_CASE("pixels: rows of positions of channels, without padding", "[unit][pixels]") {
    auto p = image::pixels(2, 3, 4);
    for (std::size_t i = 0; i != p.size(); ++i) p.writable()[i] = static_cast<std::uint8_t>(i);
    auto const& c = p;
    CHECK(c.shape() == image::shape{2, 3, 4});
    CHECK(c.size() == 24);
    CHECK(c.at(1, 2, 3) == 23);
    CHECK(c.at(1, 0, 0) == 12);
    CHECK(c.row(1) == c.data() + 12);
    p.set(0, 1, 2, 200);
    CHECK(c.bytes()[6] == 200);
}

TEST_CASE("pixels: a copy shares until it is written to", "[unit][pixels]") {
    auto a = image::pixels(1, 2, 1);
    a.set(0, 0, 0, 1);
    a.set(0, 1, 0, 2);
    auto b = a;
    CHECK(a.data() == b.data());
    b.set(0, 1, 0, 9);
    CHECK(a.at(0, 1, 0) == 2);
    CHECK(b.at(0, 0, 0) == 1);
    CHECK(b.at(0, 1, 0) == 9);
    auto const* alone = b.data();
    b.set(0, 0, 0, 4);  // no longer shared: no further copy
    CHECK(b.data() == alone);
}

TEST_CASE("pixels: a move takes the bytes and leaves an empty picture", "[unit][pixels]") {
    static_assert(std::is_nothrow_move_constructible_v<image::pixels> && std::is_nothrow_move_assignable_v<image::pixels>);
    auto a = image::pixels(3, 3, 1);
    auto const* bytes = a.data();
    auto b = std::move(a);
    CHECK(b.data() == bytes);
    CHECK(a.empty());
    CHECK(a.height() == 0);
    a = std::move(b);
    CHECK(a.data() == bytes);
    CHECK(b.empty());
}

TEST_CASE("pixels: in somebody else's storage", "[unit][pixels]") {
    auto slab = std::make_shared<std::uint8_t[]>(8);
    slab[4] = 7;
    auto const p = image::pixels(2, 2, 1, slab.get() + 4, slab);
    CHECK(p.at(0, 0, 0) == 7);
    slab.reset();
    CHECK(p.at(0, 0, 0) == 7);
    auto q = p;
    q.set(0, 0, 0, 8);
    CHECK(p.at(0, 0, 0) == 7);
}

TEST_CASE("pixels: alone in a lease they are written in place, and give it back", "[unit][pixels]") {
    bool back = false;
    auto const bytes = std::make_unique<std::byte[]>(4);
    auto* const data = reinterpret_cast<std::uint8_t*>(bytes.get());
    auto p = image::pixels(2, 2, 1, data, std::shared_ptr<std::byte>(bytes.get(), [&](std::byte*) { back = true; }));
    p.set(1, 1, 0, 9);
    CHECK(data[3] == 9);
    CHECK(p.data() == data);
    CHECK_FALSE(back);
    p = {};
    CHECK(back);
}

TEST_CASE("pixels: equal by shape and bytes", "[unit][pixels]") {
    auto a = image::pixels(1, 4, 1), b = image::pixels(2, 2, 1);
    for (auto* p : {&a, &b})
        for (auto& x : p->writable()) x = 5;
    CHECK_FALSE(a == b);
    auto c = a;
    CHECK(a == c);
    c.set(0, 3, 0, 6);
    CHECK_FALSE(a == c);
    CHECK(image::pixels() == image::pixels());
}
