// Implements: bus_guard, which turns SIGBUS inside one of our mappings into a flag and zeros instead of the end of the process.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace penstock::io::detail {

/// The kernel raises SIGBUS when a mapped page lies beyond the end of a file that was shortened. The handler is installed when the first
/// file is mapped, and only then; it puts a page of zeros under the address, marks the mapping and returns. A fault that is not ours goes
/// to the handler that was there before. It uses lock-free atomics and the system calls mmap and sigaction only.
class bus_guard {
public:
    /// One entry per living mapping.
    struct slot {
        std::atomic<bool> taken = false;
        std::atomic<std::uintptr_t> begin = 0, end = 0;
        std::atomic<bool> broken = false;
    };

    /// Null when all slots are taken.
    static slot* watch(void const* memory, std::size_t length) {
        static std::once_flag once;
        std::call_once(once, install);
        for (auto& s : slots()) {
            if (s.taken.exchange(true, std::memory_order_acquire)) continue;
            s.broken.store(false);
            s.end.store(reinterpret_cast<std::uintptr_t>(memory) + length);  // before begin: the handler trusts a slot by its begin
            s.begin.store(reinterpret_cast<std::uintptr_t>(memory));
            return &s;
        }
        return nullptr;
    }
    static void forget(slot& s) {
        s.begin.store(0);
        s.end.store(0);
        s.taken.store(false, std::memory_order_release);
    }

private:
    static std::array<slot, 4096>& slots() {
        static constinit std::array<slot, 4096> all{};
        return all;
    }
    static struct ::sigaction& before() {
        static struct ::sigaction old {};
        return old;
    }
    static std::uintptr_t& page_size() {
        static std::uintptr_t bytes = 4096;
        return bytes;
    }
    static void install() {
        slots();
        page_size() = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        struct ::sigaction ours {};
        ours.sa_sigaction = &on_fault;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
        ::sigemptyset(&ours.sa_mask);
        ::sigaction(SIGBUS, &ours, &before());
    }
    static void on_fault(int number, siginfo_t* info, void* context) {
        auto const address = reinterpret_cast<std::uintptr_t>(info->si_addr);
        auto const saved = errno;
        for (auto& s : slots()) {
            auto const begin = s.begin.load();
            if (begin == 0 || address < begin || address >= s.end.load() || s.begin.load() != begin) continue;
            auto* const page = reinterpret_cast<void*>(address & ~(page_size() - 1));
            if (::mmap(page, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
            s.broken.store(true);
            errno = saved;
            return;
        }
        auto const& old = before();
        if ((old.sa_flags & SA_SIGINFO) != 0 && old.sa_sigaction != nullptr) old.sa_sigaction(number, info, context);
        else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) old.sa_handler(number);
        else ::sigaction(SIGBUS, &old, nullptr);  // returning repeats the access, now with the default end
    }
};

}  // namespace penstock::io::detail
