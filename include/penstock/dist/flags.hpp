// Implements: dist::options, and taking dist's own flags out of argv.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
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

/// Removes `--nproc=N` (or `--nproc N`) and the flags of `options` from argv (up to "--") and returns N, 0 if it is not there.
inline int take_flags(int& argc, char** argv, options& o) {
    int kept = 0, nproc = 0;
    auto whole = [](std::string_view flag, std::string_view text) {
        double const n = flag_number(flag, text, 1);
        if (n != static_cast<int>(n)) throw config_error(message(flag, "=N: N must be a whole number, got '", text, "'\n  HINT: for example ", flag, "=2"));
        return static_cast<int>(n);
    };
    auto time = [](std::string_view flag, std::string_view text) { return std::chrono::milliseconds(static_cast<long>(flag_number(flag, text, 0.1) * 1000)); };
    auto const take = [&](std::string_view flag, auto value) {
        if (flag == "--nproc") nproc = whole(flag, value());
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
        if (i == 0 || !ours || !take(a.substr(0, eq), value)) argv[kept++] = argv[i];
    }
    argc = kept;
    argv[argc] = nullptr;
    return nproc;
}

/// What the ranks are started with: argv without `--nproc=N` or `--nproc N`.
inline void drop_nproc(std::vector<char*>& argv) {
    std::vector<char*> kept;
    bool ours = true;
    for (std::size_t i = 0; i != argv.size(); ++i) {
        std::string_view const a = argv[i] ? argv[i] : "";
        if (i > 0 && a == "--") ours = false;
        if (i > 0 && ours && a == "--nproc") i += i + 1 < argv.size() && is_value(argv[i + 1]);
        else if (i == 0 || !ours || !a.starts_with("--nproc=")) kept.push_back(argv[i]);
    }
    argv = std::move(kept);
}

}  // namespace detail
}  // namespace penstock::dist
