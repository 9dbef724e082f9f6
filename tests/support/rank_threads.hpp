// Implements: ranks(n, f), f(context) on n ranks that are threads of this process.
#pragma once

#include <penstock/dist/context.hpp>  // defines: dist::context

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <exception>
#include <thread>
#include <vector>

namespace penstock::test {

/// Runs f on every rank and rethrows the first failure, in order of rank.
template <class F>
void ranks(int n, F f) {
    c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::HashStore>();
    std::vector<std::exception_ptr> failures(static_cast<std::size_t>(n));
    {
        std::vector<std::jthread> threads;
        for (int r = 0; r != n; ++r)
            threads.emplace_back([&, r] {
                try {
                    auto ctx = dist::context::in_process(store, r, n);
                    f(ctx);
                } catch (...) {
                    failures[static_cast<std::size_t>(r)] = std::current_exception();
                }
            });
    }
    for (auto const& e : failures)
        if (e) std::rethrow_exception(e);
}

}  // namespace penstock::test
