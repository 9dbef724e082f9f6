// Implements: a counting operator new, in a file of its own so that the compiler cannot look through it.
#include <support/allocations.hpp>

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0};
std::atomic<std::int64_t> live{0};

void release(void* p) noexcept {
    if (p) live -= static_cast<std::int64_t>(malloc_usable_size(p));
    std::free(p);
}
}  // namespace

std::uint64_t penstock::test::allocations() { return count; }
std::int64_t penstock::test::live_bytes() { return live; }

// every form but the aligned ones: a sanitizer must not see its own new beside our delete
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    ++count;
    auto* const p = std::malloc(size ? size : 1);
    if (p) live += static_cast<std::int64_t>(malloc_usable_size(p));
    return p;
}
void* operator new(std::size_t size) {
    if (auto* p = operator new(size, std::nothrow)) return p;
    throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, std::nothrow_t const& tag) noexcept { return operator new(size, tag); }
void operator delete(void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { release(p); }
