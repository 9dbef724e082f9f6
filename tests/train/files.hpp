// Implements: what the tests of this room share: a scratch directory, whole files as strings, the text of an error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <stdlib.h>
#include <sys/resource.h>

namespace test {

namespace fs = std::filesystem;

class scratch {
public:
    scratch() {
        std::string name = (fs::temp_directory_path() / "penstock-train-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    scratch(scratch const&) = delete;
    ~scratch() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    fs::path operator/(std::string const& name) const { return path_ / name; }
    fs::path const& path() const { return path_; }

private:
    fs::path path_;
};

inline std::string slurp(fs::path const& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void spill(fs::path const& file, std::string const& bytes) { std::ofstream(file, std::ios::binary) << bytes; }

inline std::size_t entries(fs::path const& directory) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator{}));
}

/// The largest file this process may write, while alive: a disk that is full after so many bytes.
class file_limit {
public:
    explicit file_limit(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit const now{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    file_limit(file_limit const&) = delete;
    ~file_limit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

template <class E, class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (E const& e) { return e.what(); }
    return "nothing thrown";
}

inline bool has(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

}  // namespace test
