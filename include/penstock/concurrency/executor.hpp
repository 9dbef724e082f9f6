// Implements: executor, the one set of threads that a process's pipelines share, and the tasks it runs.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

namespace penstock {

namespace detail {

/// Tells the processor that this thread is spinning; some ten nanoseconds.
inline void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}
/// How often to look before sleeping: some microseconds, about what sleeping and being woken costs.
inline constexpr int spins_before_sleep = 256;

}  // namespace detail

/// A fixed number of threads and a queue of tasks, oldest first. Stages use the process's one unless they are given another.
///
/// A task is part of the object that posts it and is queued at most once, so posting allocates nothing and the queue is as long as
/// there are stages. Whoever has to wait for the result of a task may take that task back and run it himself: a chain of stages that
/// wait for each other makes progress on one thread, or on none. Distinct threads may use one executor.
///
///     executor four(4);
///     auto p = source | prefetch({.items = 8, .executor = &four});   // `four` must outlive p
class executor {
public:
    /// What run_one() may run: `leaf` tasks never wait for another task, so anybody may run one at any time.
    /// A task that may wait (for the stage before its own) is run by a thread of the pool or by who waits for it, and by nobody else:
    /// put on top of another task that is waiting, it could wait for the very task it sits on.
    enum class kind { leaf, waits };

    class task {
    public:
        explicit task(kind k) : kind_(k) {}
        task(task const&) = delete;
        virtual void run() noexcept = 0;

    protected:
        ~task() = default;

    private:
        friend class executor;
        task* before_ = nullptr;
        task* after_ = nullptr;
        kind kind_;
        bool queued_ = false;
    };

    explicit executor(unsigned threads = default_threads()) : threads_(checked(threads)), pool_(threads_) {}
    executor(executor const&) = delete;
    /// Ends the tasks that run and forgets those that do not yet. Pipelines that use this executor must be gone.
    ~executor() {
        {
            std::lock_guard const hold(lock_);
            while (first_) unlink(*first_);
        }
        pool_.stop();
        pool_.join();
    }

    /// The executor of the process: made at its first use and never destroyed, so that leaving main, or std::exit in the middle of an epoch,
    /// does not wait for a read that blocks.
    static executor& process() {
        static auto* const one = new executor();
        return *one;
    }
    /// PENSTOCK_THREADS, or one less than the machine has, at least 1: the thread that trains is not ours.
    static unsigned default_threads() {
        if (auto const* text = std::getenv("PENSTOCK_THREADS"); text && *text) {
            auto const all = std::string_view(text);
            unsigned n = 0;
            auto const [end, why] = std::from_chars(all.data(), all.data() + all.size(), n);
            if (why != std::errc{} || end != all.data() + all.size() || n == 0 || n > most_threads)
                throw config_error(message("PENSTOCK_THREADS: must be a number from 1 to ", most_threads, ", got '", all, "'\n  HINT: unset it to use one thread less than the machine has"));
            return n;
        }
        auto const cores = std::thread::hardware_concurrency();
        return (std::clamp)(cores, 2u, most_threads) - 1;
    }

    unsigned threads() const { return threads_; }
    /// Whether a task is queued: a long one then queues itself behind it instead of going on. No order is implied; the answer may be old.
    bool wanted() const noexcept { return queued_.load(std::memory_order_relaxed) != 0; }

    /// Queues a task that is not queued. It may be running: then another thread may start it again, which the task must allow for.
    void post(task& t) noexcept {
        bool wake = false;
        {
            std::lock_guard const hold(lock_);
            link(t);
            wake = awake_ < threads_;
            awake_ += wake;
        }
        if (wake) try {
                boost::asio::post(pool_, waker(*this));
            } catch (std::bad_alloc const&) {  // the task stays queued: a thread of the pool comes to it later, or who waits for it takes it back
                std::lock_guard const hold(lock_);
                --awake_;
            }
    }
    /// True if `t` was queued still: it is out of the queue then, for the caller to run or to drop.
    bool take_back(task& t) {
        std::lock_guard const hold(lock_);
        if (!t.queued_) return false;
        unlink(t);
        return true;
    }
    /// Runs the oldest leaf task on the calling thread; false if none is queued.
    bool run_one() {
        task* t = nullptr;
        {
            std::lock_guard const hold(lock_);
            for (t = first_; t && t->kind_ != kind::leaf;) t = t->after_;
            if (!t) return false;
            unlink(*t);
        }
        t->run();
        return true;
    }

private:
    static constexpr unsigned most_threads = 1024;

    /// What the pool is given: one per thread that has something to do. Its memory is kept from one to the next.
    struct waker {
        executor* e;
        explicit waker(executor& owner) : e(&owner) {}
        void operator()() const { e->drain(); }

        template <class T>
        struct recycler {
            using value_type = T;
            executor* e;
            explicit recycler(executor* owner) : e(owner) {}
            template <class U>
            recycler(recycler<U> const& other) : e(other.e) {}
            T* allocate(std::size_t n) { return static_cast<T*>(e->spares_.take(n * sizeof(T))); }
            void deallocate(T* p, std::size_t n) { e->spares_.give(p, n * sizeof(T)); }
            friend bool operator==(recycler const&, recycler const&) = default;
        };
        using allocator_type = recycler<void>;
        allocator_type get_allocator() const { return allocator_type(e); }
    };

    /// Blocks of one size, at most one per thread of the pool.
    class spares {
    public:
        spares() = default;
        spares(spares const&) = delete;
        ~spares() {
            while (first_) ::operator delete(std::exchange(first_, first_->next));
        }
        void* take(std::size_t bytes) {
            {
                std::lock_guard const hold(lock_);
                if (first_ && bytes == bytes_) return std::exchange(first_, first_->next);
            }
            return ::operator new((std::max)(bytes, sizeof(spare)));
        }
        void give(void* block, std::size_t bytes) {
            std::lock_guard const hold(lock_);
            if (first_ && bytes != bytes_) return ::operator delete(block);
            bytes_ = bytes;
            first_ = new (block) spare{first_};
        }

    private:
        struct spare {
            spare* next;
        };
        std::mutex lock_;
        spare* first_ = nullptr;
        std::size_t bytes_ = 0;
    };

    static unsigned checked(unsigned threads) {
        if (threads == 0 || threads > most_threads)
            throw config_error(message("executor(threads): threads must be 1 to ", most_threads, ", got ", threads, "\n  HINT: leave it out to use one thread less than the machine has"));
        return threads;
    }

    /// Runs tasks until none is queued, and none comes for a moment: so two that take turns need not wake each other. A thread that leaves has seen
    /// the queue empty under the lock, so a later post() sees it gone.
    void drain() {
        while (true) {
            task* t = nullptr;
            linger();
            {
                std::lock_guard const hold(lock_);
                t = first_;
                if (!t) {
                    --awake_;
                    return;
                }
                unlink(*t);
            }
            t->run();
        }
    }
    /// Spins until a task is queued, as long as that has paid lately: where who posts shares our core, or takes his time, it never does.
    void linger() noexcept {
        auto const spins = patience_.load(std::memory_order_relaxed);
        bool const again = asked_.fetch_add(1, std::memory_order_relaxed) % 64 == 0;  // that may have changed
        for (int spin = 0, most = again ? detail::spins_before_sleep : spins; spin != most; ++spin) {
            if (wanted()) {
                if (spin > spins / 2) patience_.store(detail::spins_before_sleep, std::memory_order_relaxed);
                return;
            }
            detail::spin_pause();
        }
        if (!wanted()) patience_.store(spins / 2, std::memory_order_relaxed);
    }

    void link(task& t) {
        t.queued_ = true;
        queued_.fetch_add(1, std::memory_order_relaxed);
        t.before_ = last_;
        t.after_ = nullptr;
        (last_ ? last_->after_ : first_) = &t;
        last_ = &t;
    }
    void unlink(task& t) {
        t.queued_ = false;
        queued_.fetch_sub(1, std::memory_order_relaxed);
        (t.before_ ? t.before_->after_ : first_) = t.after_;
        (t.after_ ? t.after_->before_ : last_) = t.before_;
    }

    std::mutex lock_;  // over the queue and awake_
    task* first_ = nullptr;
    task* last_ = nullptr;
    std::atomic<unsigned> queued_{0};  // length of the queue; written under the lock, a guess to who reads it without
    std::atomic<int> patience_{detail::spins_before_sleep};  // how long to linger; races cost a spin
    std::atomic<unsigned> asked_{0};
    unsigned awake_ = 0;  // threads of the pool that were told to drain the queue and have not seen it empty yet
    unsigned threads_;
    spares spares_;  // before the pool: what is left in the pool is given back when it goes
    boost::asio::thread_pool pool_;
};

}  // namespace penstock
