// Implements: dist::options, and taking dist's own flags out of argv.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace penstock::dist {

/// How the ranks work together. The flags named below override the program's own values.
struct options {
    std::chrono::milliseconds init_timeout{300'000};  ///< --init-timeout=SECONDS: until all ranks have joined
    std::chrono::milliseconds step_timeout{60'000};   ///< --step-timeout=SECONDS: what a rank may be behind the others before the run ends
    int threads_per_rank = 0;                         ///< --threads-per-rank=N: LibTorch's threads; 0: OMP_NUM_THREADS, else cores / ranks on this machine
    bool quiet = false;                               ///< do not print the line that says who runs where
};

namespace detail {

inline double flag_number(std::string_view flag, std::string_view text, double least) {
    double n = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || !(n >= least) || n > 1e6)
        throw config_error(message(flag, "=N: N must be a number >= ", least, ", got '", text, "'\n  HINT: for example ", flag, "=2"));
    return n;
}

/// Whether it can be the value of the flag before it.
inline bool is_value(char const* a) { return a && !std::string_view(a).starts_with("--"); }

/// What take_flags found.
struct taken_flags {
    int nproc = 0;                         ///< 0: not said
    std::vector<std::string> for_ranks{};  ///< argv as it was, but for --nproc
};

/// Removes `--nproc=N` (or `--nproc N`) and the flags of `options` from argv, up to "--".
inline taken_flags take_flags(int& argc, char** argv, options& o) {
    taken_flags out;
    int kept = 0;
    auto whole = [](std::string_view flag, std::string_view text) {
        double const n = flag_number(flag, text, 1);
        if (n != static_cast<int>(n)) throw config_error(message(flag, "=N: N must be a whole number, got '", text, "'\n  HINT: for example ", flag, "=2"));
        return static_cast<int>(n);
    };
    auto time = [](std::string_view flag, std::string_view text) { return std::chrono::milliseconds(static_cast<long>(flag_number(flag, text, 0.1) * 1000)); };
    auto const take = [&](std::string_view flag, auto value) {
        if (flag == "--nproc") out.nproc = whole(flag, value());
        else if (flag == "--threads-per-rank") o.threads_per_rank = whole(flag, value());
        else if (flag == "--step-timeout") o.step_timeout = time(flag, value());
        else if (flag == "--init-timeout") o.init_timeout = time(flag, value());
        else return false;
        return true;
    };
    bool ours = true;
    for (int i = 0; i < argc; ++i) {
        std::string_view const a = argv[i] ? argv[i] : "";
        auto const eq = a.find('=');
        auto const value = [&]() -> std::string_view {
            if (eq != a.npos) return a.substr(eq + 1);
            return i + 1 < argc && is_value(argv[i + 1]) ? argv[++i] : "";
        };
        if (i > 0 && a == "--") ours = false;
        auto const first = i;
        auto const flag = i == 0 || !ours ? std::string_view{} : a.substr(0, eq);
        bool const taken = take(flag, value);
        if (flag != "--nproc") out.for_ranks.insert(out.for_ranks.end(), argv + first, argv + i + 1);
        if (!taken) argv[kept++] = argv[first];
    }
    argc = kept;
    argv[argc] = nullptr;
    return out;
}

}  // namespace detail
}  // namespace penstock::dist
