// Implements: folder_lock, which keeps a second run out of a folder of checkpoints while the first one lives.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, message
#include <penstock/train/durable_file.hpp>  // defines: detail::write_error, detail::unique_tag

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::train {

/// Holds `folder`/.lock, which names its owner. The kernel drops the lock with the process, however that ends; the file stays.
///
/// Errors: config_error when a live process holds it, or `folder` is a file; stage_error (io) when the folder cannot be made or written.
class [[nodiscard]] folder_lock {
public:
    explicit folder_lock(std::filesystem::path const& folder) : path_(folder / ".lock") {
        std::error_code error;
        if (std::filesystem::exists(folder, error) && !std::filesystem::is_directory(folder, error))
            throw config_error(message("fit: .checkpoint must be a folder, or not there; '", folder.string(), "' is a file\n  HINT: name another folder, or move the file away"));
        std::filesystem::create_directories(folder, error);
        if (error) throw detail::write_error(folder, "mkdir", error.value());
        fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd_ < 0) throw detail::write_error(path_, "open", errno);
        if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            int const code = errno;
            char owner[300] = {};
            auto const n = ::pread(fd_, owner, sizeof owner - 1, 0);
            ::close(fd_);
            if (code == EWOULDBLOCK)
                throw config_error(message("fit: another run is writing into '", folder.string(), "'", n > 0 ? message(" (host-process ", owner, ")") : std::string(),
                                           "\n  HINT: wait for its end, or give this run a .checkpoint of its own"));
            fd_ = -1;
            why_not_ = message("'", folder.string(), "' cannot be locked (", std::strerror(code), "): a second run in it would not be noticed");
            return;
        }
        auto const me = detail::unique_tag();
        [[maybe_unused]] bool const named = ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, me.data(), me.size(), 0) > 0;  // for the sentence above only: a full disk is told by the first save
    }
    folder_lock(folder_lock const&) = delete;
    ~folder_lock() {
        if (fd_ >= 0) ::close(fd_);
    }

    /// False once the file is gone or another one: the folder was removed, moved away or replaced, and what lies there now is nobody's.
    bool holds() const {
        struct stat mine {}, there {};
        if (fd_ < 0 || ::fstat(fd_, &mine) != 0) return true;
        return ::stat(path_.c_str(), &there) == 0 && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
    }
    /// A sentence where the file system has no locks; else empty.
    std::string const& why_not() const { return why_not_; }

private:
    std::filesystem::path path_;
    int fd_ = -1;
    std::string why_not_{};
};

}  // namespace penstock::train
