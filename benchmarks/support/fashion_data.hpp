// Implements: fashion_data, the training shards of Fashion-MNIST for a benchmark, as examples/tools/fashion_to_shards writes them.
#pragma once

#include "../../examples/tools/fashion_shards.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace penstock::bench {

/// An empty folder of this process; it is gone with the object.
class temporary_folder {
public:
    temporary_folder() : path_((std::filesystem::temp_directory_path() / "penstock-bench-XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + path_);
    }
    temporary_folder(temporary_folder const&) = delete;
    temporary_folder& operator=(temporary_folder const&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string const& path() const { return path_; }

private:
    std::string path_;
};

/// In the folder PENSTOCK_DATA, whose complete shards are taken as they are, else in a temporary one; the IDX files lie in PENSTOCK_IDX.
class fashion_data {
public:
    fashion_data() {
        auto const* const given = std::getenv("PENSTOCK_DATA");
        folder_ = std::filesystem::absolute(given ? given : temporary_.path()).string();
        auto const* const idx = std::getenv("PENSTOCK_IDX");
        write_fashion_train(idx ? idx : "/usr/share/datasets/fashion-mnist", folder_, [](std::string const& s) { std::fprintf(stderr, "%s\n", s.c_str()); });
    }
    std::string const& folder() const { return folder_; }
    std::string train() const { return folder_ + "/train-{0000..0066}.tar"; }

    static constexpr std::size_t samples = 60'000;

private:
    temporary_folder temporary_;
    std::string folder_;
};

}  // namespace penstock::bench
