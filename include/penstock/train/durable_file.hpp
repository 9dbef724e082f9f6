// Implements: files that are whole or absent. Written beside their name, synced, then renamed; every failure names the file and errno.
#pragma once

#include <penstock/core/errors.hpp>        // defines: stage_error, message
#include <penstock/train/checksum.hpp>     // defines: crc32c
#include <penstock/train/hold_signal.hpp>  // defines: detail::hold_signal

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::train {

namespace detail {

/// The error of a failed system call on a file that is being written: names the call, the file, errno's text and what to do.
inline stage_error write_error(std::filesystem::path const& file, std::string_view call, int code) {
    std::string_view hint = "check the path and the disk, then start again with the last complete checkpoint";
    if (code == ENOSPC || code == EDQUOT) hint = "free space on that file system, or keep fewer checkpoints";
    if (code == EFBIG) hint = "raise the limit on file sizes (ulimit -f) or use a file system that allows larger files";
    if (code == EACCES || code == EPERM || code == EROFS) hint = "the directory must be writable by this user";
    if (code == ENOENT || code == ENOTDIR) hint = "the directory must exist; was it removed or replaced while the run was writing?";
    return {"train", fault::io, {.shard = file.string()}, message(call, ": ", std::strerror(code), " (errno ", code, ")"), hint};
}

/// Unique among the processes that can see one file system: host, process, counter.
inline std::string unique_tag() {
    static std::atomic<unsigned> count{0};
    char host[256] = "host";
    ::gethostname(host, sizeof host - 1);
    return message(host, '-', ::getpid(), '-', count.fetch_add(1));
}

}  // namespace detail

/// Makes renames and new names inside `directory` survive a power cut.
inline void sync_directory(std::filesystem::path const& directory) {
    int const fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw detail::write_error(directory, "open", errno);
    int const code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (code != 0 && code != EINVAL && code != ENOTSUP) throw detail::write_error(directory, "fsync", code);  // some network file systems refuse it
}

/// A file under construction: `path` appears, whole, at commit(); without it nothing is left behind.
///
/// A process that dies in between leaves `path.tmp-<host>-<pid>-<n>`, which nobody reads.
/// Errors: stage_error (fault::io) with the file, errno's text and a HINT.
class durable_file {
public:
    explicit durable_file(std::filesystem::path path)
        : path_(std::move(path)), tmp_(path_.string() + ".tmp-" + detail::unique_tag()),
          fd_(::open(tmp_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
        if (fd_ < 0) throw detail::write_error(tmp_, "open", errno);
    }
    durable_file(durable_file const&) = delete;
    ~durable_file() {
        if (fd_ >= 0) ::close(fd_);
        if (!committed_) ::unlink(tmp_.c_str());
    }

    void write(void const* bytes, std::size_t n) {
        detail::hold_signal quiet(SIGXFSZ);
        auto const* p = static_cast<char const*>(bytes);
        for (std::size_t left = n; left != 0;) {
            auto const done = ::write(fd_, p, left);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) throw detail::write_error(path_, "write", errno);
            if (done == 0) throw detail::write_error(path_, "write", ENOSPC);
            p += done;
            left -= static_cast<std::size_t>(done);
        }
        crc_ = crc32c(bytes, n, crc_);
        bytes_ += n;
    }
    void write(std::string_view text) { write(text.data(), text.size()); }

    void commit() {
        if (::fsync(fd_) != 0) throw detail::write_error(path_, "fsync", errno);
        if (::close(std::exchange(fd_, -1)) != 0) throw detail::write_error(path_, "close", errno);  // a network disk may report "full" only now
        if (::rename(tmp_.c_str(), path_.c_str()) != 0) throw detail::write_error(path_, "rename", errno);
        committed_ = true;
    }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] std::uint32_t checksum() const { return crc_; }

private:
    std::filesystem::path path_, tmp_;
    int fd_;
    bool committed_ = false;
    std::uint64_t bytes_ = 0;
    std::uint32_t crc_ = 0;
};

}  // namespace penstock::train
