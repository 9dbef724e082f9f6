// Implements: slab_pool, memory that tensors borrow: allocated once, used again as soon as the last tensor in it is gone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <utility>
#include <vector>

namespace penstock::tensor {

/// Slabs of memory, aligned to 64 bytes. A lease gives its slab back wherever its last copy goes, on whatever thread, and may outlive the
/// pool: slabs belong to what pool and leases share. There are as many slabs as were out at once. Any thread may take and give back.
///
/// The slabs come from the heap, or from a resource given, pinned memory for example: its do_allocate and do_deallocate are called by one thread at
/// a time, its do_deallocate must not throw, and it lives until the last slab has gone back to it.
class slab_pool {
public:
    using lease = std::shared_ptr<std::byte>;

    slab_pool() : slab_pool(std::shared_ptr<std::pmr::memory_resource>(std::shared_ptr<void>(), std::pmr::new_delete_resource())) {}
    explicit slab_pool(std::shared_ptr<std::pmr::memory_resource> from) : shared_(std::make_shared<state>(std::move(from))) {}

    /// At least `bytes` bytes, as the last user left them.
    lease take(std::size_t bytes) {
        auto const s = shared_->take(bytes);
        return lease(s.data, giver{shared_, s.bytes});  // gives it back should there be no memory for the lease itself
    }
    /// Slabs allocated so far: it stays where it is once as many are there as are out at once.
    std::size_t made() const {
        std::lock_guard const hold(shared_->lock);
        return shared_->made;
    }

private:
    struct slab {
        std::byte* data = nullptr;
        std::size_t bytes = 0;
    };
    struct state {
        std::shared_ptr<std::pmr::memory_resource> from;
        std::mutex lock;
        std::vector<slab> free;
        std::size_t made = 0, alive = 0, largest = 0;

        explicit state(std::shared_ptr<std::pmr::memory_resource> resource) : from(std::move(resource)) {}
        state(state const&) = delete;
        ~state() {
            for (auto const& s : free) release(s);
        }
        void release(slab s) { from->deallocate(s.data, s.bytes, 64); }

        slab take(std::size_t bytes) {
            std::lock_guard const hold(lock);
            auto const fit = std::find_if(free.begin(), free.end(), [&](slab const& s) { return s.bytes >= bytes; });
            if (fit != free.end()) {
                auto const s = *fit;
                *fit = free.back();
                free.pop_back();
                return s;
            }
            if (!free.empty()) {  // all too small: they were made for smaller batches
                release(free.back());
                free.pop_back();
                --alive;
            }
            free.reserve(alive + 1);  // so that giving back never allocates
            auto const size = (std::max)({largest, bytes, std::size_t{64}});
            slab const s{static_cast<std::byte*>(from->allocate(size, 64)), size};
            largest = size;
            ++alive;
            ++made;
            return s;
        }
        void give(slab s) noexcept {
            std::lock_guard const hold(lock);
            free.push_back(s);
        }
    };
    struct giver {
        std::shared_ptr<state> to;
        std::size_t bytes;
        void operator()(std::byte* data) const noexcept { to->give({data, bytes}); }
    };

    std::shared_ptr<state> shared_;
};

}  // namespace penstock::tensor
