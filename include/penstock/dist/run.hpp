// Implements: dist::run, the body of a main() whose ranks all end with a sentence.
#pragma once

#include <penstock/dist/context.hpp>  // defines: context, init, print_failure, leave_now

#include <exception>
#include <utility>

namespace penstock::dist {

/// Calls f() and closes the context; returns the exit code for main. An exception is published to the other ranks, printed as one sentence,
/// and written to torchrun's error file. In a job of several processes the failing process then ends here, without destructors: those of
/// a broken process group would wait for ranks that never answer.
///
///     return dist::run(ctx, [&] { train(ctx); });    // 0; 1: this rank failed; 3: another one did; 128 + n: signal n stopped fit
template <class F>
int run(context& ctx, F&& f) {
    try {
        std::forward<F>(f)();
        ctx.close();
        return ctx.exit_code();
    } catch (...) {
        int const code = ctx.report(std::current_exception());
        if (ctx.world_size() > 1 && ctx.in_own_process()) leave_now(code);
        return code;
    }
}

/// As above, from main's arguments: init's own errors (a bad launch, a rank that does not join) become sentences too.
///
///     int main(int argc, char** argv) {
///         return dist::run(argc, argv, [](dist::context& ctx, int argc, char** argv) { ... });
///     }
template <class F>
int run(int& argc, char**& argv, F&& f, options o = {}) {
    try {
        auto ctx = init(argc, argv, o);
        return run(ctx, [&] { std::forward<F>(f)(ctx, argc, argv); });
    } catch (std::exception const& e) {  // only init gets here
        print_failure({}, true, "error", detail::plain_what(e));
        leave_now(dynamic_cast<peer_error const*>(&e) ? exit_peer : exit_own);
    }
}

}  // namespace penstock::dist
