#include <penstock/tensor/slab_pool.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include <support/catch.hpp>

using penstock::tensor::slab_pool;

namespace {

struct counting : std::pmr::memory_resource {
    std::map<void*, std::size_t> out;
    std::size_t made = 0, most = std::size_t{1} << 20;
    bool* gone = nullptr;

    ~counting() override {
        if (gone) *gone = out.empty();
    }
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (bytes > most) throw std::bad_alloc();
        auto* const p = ::operator new(bytes, std::align_val_t(alignment));
        out[p] = bytes;
        ++made;
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        CHECK(out.at(p) == bytes);
        out.erase(p);
        ::operator delete(p, std::align_val_t(alignment));
    }
    bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override { return this == &other; }
};

}  // namespace

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

TEST_CASE("slab_pool: memory of a resource goes back to it, and it lives as long as a slab does", "[unit][slab_pool]") {
    bool all_back = false;
    auto lease = slab_pool::lease();
    {
        auto const memory = std::make_shared<counting>();
        memory->gone = &all_back;
        auto pool = slab_pool(memory);
        { auto a = pool.take(100), b = pool.take(200); }
        CHECK(memory->out.size() == 2);
        lease = pool.take(5000);
        CHECK(memory->made == 3);
        CHECK(memory->out.size() == 2);  // one that was too small went back
        CHECK(memory->out.count(lease.get()) == 1);
    }
    CHECK_FALSE(all_back);
    std::memset(lease.get(), 1, 5000);
    lease.reset();
    CHECK(all_back);
}

TEST_CASE("slab_pool: a resource that has no more leaves the pool usable", "[unit][slab_pool]") {
    auto const memory = std::make_shared<counting>();
    auto pool = slab_pool(memory);
    { auto a = pool.take(1000), b = pool.take(1000); }
    for (int i = 0; i != 3; ++i) CHECK_THROWS_AS(pool.take(std::size_t{1} << 21), std::bad_alloc);
    CHECK(memory->out.empty());
    auto const a = pool.take(1000);  // and does not remember what it could not have
    CHECK(a);
    CHECK(pool.made() == 3);
}
