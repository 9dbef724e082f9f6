#include <penstock/tensor/slab_pool.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <support/catch.hpp>

using penstock::tensor::slab_pool;

TEST_CASE("slab_pool: a slab is used again once its last lease is gone", "[unit][slab_pool]") {
    slab_pool pool;
    auto a = pool.take(1000);
    auto const* first = a.get();
    auto copy = a;
    a.reset();
    auto b = pool.take(1000);
    CHECK(b.get() != first);
    copy.reset();
    auto c = pool.take(900);
    CHECK(c.get() == first);
    CHECK(pool.made() == 2);
    for (int i = 0; i != 100; ++i) {
        c.reset();
        c = pool.take(1000 - static_cast<std::size_t>(i));
    }
    CHECK(pool.made() == 2);
}

TEST_CASE("slab_pool: aligned to 64 bytes, never smaller than asked", "[unit][slab_pool]") {
    slab_pool pool;
    for (std::size_t bytes : {0u, 1u, 63u, 64u, 65u, 100'000u, 10u}) {
        auto s = pool.take(bytes);
        CHECK(reinterpret_cast<std::uintptr_t>(s.get()) % 64 == 0);
        if (bytes) std::memset(s.get(), 1, bytes);
    }
}

TEST_CASE("slab_pool: slabs that became too small make room for larger ones", "[unit][slab_pool]") {
    slab_pool pool;
    { auto a = pool.take(100), b = pool.take(100); }
    { auto a = pool.take(5000), b = pool.take(5000); }
    CHECK(pool.made() == 4);
    { auto a = pool.take(100), b = pool.take(5000); }
    CHECK(pool.made() == 4);
}

TEST_CASE("slab_pool: leases outlive the pool, and go on any thread", "[unit][slab_pool]") {
    auto pool = std::make_optional<slab_pool>();
    std::vector<slab_pool::lease> kept;
    for (int i = 0; i != 4; ++i) {
        kept.push_back(pool->take(256));
        std::memset(kept.back().get(), i, 256);
    }
    pool.reset();
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
        CHECK(static_cast<int>(*kept[static_cast<std::size_t>(i)]) == i);
        threads.emplace_back([lease = std::move(kept[static_cast<std::size_t>(i)])]() mutable { lease.reset(); });
    }
    for (auto& t : threads) t.join();
}
