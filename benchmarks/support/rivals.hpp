// Implements: what a benchmark is compared with: set_up brings a rival onto the machine, rust_library compiles one and calls it in this process.
#pragma once

#include <dlfcn.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace penstock::bench {

/// What a command printed last, and how it ended.
struct ended {
    int status = 0;
    std::string last_line;
};

/// Runs a shell command; standard error counts as output.
inline ended run_command(std::string const& command) {
    auto* const pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    std::string all;
    std::array<char, 4096> part{};
    for (std::size_t n = 0; (n = std::fread(part.data(), 1, part.size(), pipe)) != 0;) all.append(part.data(), n);
    auto const status = ::pclose(pipe);
    while (!all.empty() && all.back() == '\n') all.pop_back();
    auto const cut = all.rfind('\n');
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 1, cut == all.npos ? all : all.substr(cut + 1)};
}

struct rival {
    std::optional<std::string> path{};  ///< of the compiler, or of the Python that imports it
    std::string reason{};               ///< why there is none
};

/// Looks `name` up with comparative/setup.sh, which installs it where it may.
inline rival set_up(std::string const& name) {
    auto found = run_command("'" PENSTOCK_BENCHMARKS_DIR "/comparative/setup.sh' " + name);
    if (found.status == 0) return {std::move(found.last_line), {}};
    return {std::nullopt, std::move(found.last_line)};
}

/// A Rust source file compiled for speed as a shared library of this process: its functions are called as ours are, with nothing between.
class rust_library {
public:
    explicit rust_library(std::string const& source) {
        auto const rust = set_up("rust");
        if (!rust.path) {
            reason_ = rust.reason;
            return;
        }
        auto const folder = std::filesystem::temp_directory_path() / "penstock-rust-XXXXXX";
        auto name = folder.string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + name);
        auto const library = name + "/librival.so";
        auto const built = run_command("'" + *rust.path + "' -C opt-level=3 -C codegen-units=1 -C panic=abort --crate-type cdylib -o '" + library + "' '" + source + "'");
        if (built.status == 0) handle_.reset(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
        if (built.status != 0) reason_ = *rust.path + " failed: " + built.last_line;
        else if (!handle_) reason_ = ::dlerror();
        std::error_code ignored;
        std::filesystem::remove_all(name, ignored);  // the mapping stays
    }

    explicit operator bool() const { return handle_ != nullptr; }
    std::string const& reason() const { return reason_; }

    template <class F>
    F* function(char const* name) const {
        auto* const found = ::dlsym(handle_.get(), name);
        if (found == nullptr) throw std::runtime_error(std::string("the Rust library has no ") + name);
        return reinterpret_cast<F*>(found);
    }

private:
    struct close {
        void operator()(void* handle) const { ::dlclose(handle); }
    };
    std::unique_ptr<void, close> handle_;
    std::string reason_;
};

}  // namespace penstock::bench
