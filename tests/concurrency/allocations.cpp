// Implements: an operator new that counts. In a file of its own: inlined into its callers it would look like a mismatched pair.
#include <atomic>
#include <cstdlib>
#include <new>

namespace penstock::test {
extern std::atomic<long> allocations;
std::atomic<long> allocations{0};
}  // namespace penstock::test

void* operator new(std::size_t n) {
    ++penstock::test::allocations;
    if (auto* p = std::malloc(n ? n : 1)) return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t n, std::nothrow_t const&) noexcept {
    ++penstock::test::allocations;
    return std::malloc(n ? n : 1);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { std::free(p); }
