// Implements: on_ranks(n, f), f(context) on n ranks that are threads of this process.
#pragma once

#include <penstock/dist/context.hpp>  // defines: context, options

#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace penstock::test {

/// Runs f(ctx) on `world` threads over one HashStore. Returns what each rank threw, "" for nothing: assertions belong to the main thread.
inline std::vector<std::string> on_ranks(int world, std::function<void(dist::context&)> const& f, dist::options o = {}) {
    dist::store_ptr const store = c10::make_intrusive<c10d::HashStore>();
    std::vector<std::string> errors(static_cast<std::size_t>(world));
    std::vector<std::thread> threads;
    for (int r = 0; r < world; ++r)
        threads.emplace_back([&, r] {
            try {
                auto ctx = dist::context::in_process(store, r, world, o);
                f(ctx);
            } catch (std::exception const& e) {
                errors[static_cast<std::size_t>(r)] = e.what();
            }
        });
    for (auto& t : threads) t.join();
    return errors;
}

inline std::vector<std::string> nothing(int world) { return std::vector<std::string>(static_cast<std::size_t>(world)); }

}  // namespace penstock::test
