// Implements: temp_dir, a directory that a test fills and that is gone afterwards; whole files as strings.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace penstock::test {

class temp_dir {
public:
    temp_dir() {
        auto pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = pattern;
    }
    temp_dir(temp_dir const&) = delete;
    temp_dir& operator=(temp_dir const&) = delete;
    ~temp_dir() {
        auto ignored = std::error_code{};
        std::filesystem::remove_all(path_, ignored);
    }
    std::string path(std::string_view name = {}) const { return name.empty() ? path_.string() : (path_ / name).string(); }
    /// Writes a file and returns its path.
    std::string write(std::string_view name, std::string_view bytes) const {
        auto const where = path(name);
        auto out = std::ofstream(where, std::ios::binary | std::ios::trunc);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (!out.flush()) throw std::runtime_error("cannot write " + where);
        return where;
    }

private:
    std::filesystem::path path_;
};

inline std::string file_bytes(std::string const& path) {
    auto in = std::ifstream(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path);
    auto out = std::ostringstream{};
    out << in.rdbuf();
    return std::move(out).str();
}

}  // namespace penstock::test
