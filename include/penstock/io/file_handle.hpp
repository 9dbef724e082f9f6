// Implements: file_handle, an open regular file and the errors of opening one.
#pragma once

#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault, message

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace penstock::io {

/// "No such file or directory (errno 2)"
inline std::string errno_text(int number) { return message(std::generic_category().message(number), " (errno ", number, ")"); }

/// What a user can do about a failed system call on a file.
inline std::string_view errno_hint(int number) {
    switch (number) {
        case ENOENT: return "check the path; relative paths start at the working directory";
        case EACCES:
        case EPERM: return "check the owner and the mode of the file and of the directories above it";
        case ENOSPC:
        case EDQUOT: return "free some space on this file system, or write elsewhere";
        case EMFILE:
        case ENFILE: return "raise the limit of open files (ulimit -n)";
        case EISDIR: return "name a file in it, or a pattern such as 'dir/train-{000..007}.tar'";
        case EROFS: return "the file system is mounted read-only; write elsewhere";
        default: return "see the text of the error; the file system refused";
    }
}

[[noreturn]] inline void throw_errno(std::string_view what, std::string const& path, std::string_view doing, int number) {
    throw stage_error(what, fault::io, place{path, {}, {}, {}}, message("cannot ", doing, ": ", errno_text(number)), errno_hint(number));
}

/// An open file descriptor, closed at the end.
class file_handle {
public:
    file_handle() = default;
    explicit file_handle(int fd) : fd_(fd) {}
    file_handle(file_handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    file_handle& operator=(file_handle&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~file_handle() {
        if (fd_ >= 0) ::close(fd_);
    }

    int get() const { return fd_; }

    /// A regular file for reading. O_NONBLOCK: a FIFO of that name is refused below instead of waited for.
    static file_handle for_reading(std::string const& path) {
        auto file = file_handle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (file.get() < 0) throw_errno("open_file", path, "open for reading", errno);
        auto const status = file.status(path);
        if (S_ISDIR(status.st_mode)) throw_errno("open_file", path, "read", EISDIR);
        if (!S_ISREG(status.st_mode))
            throw stage_error("open_file", fault::io, place{path, {}, {}, {}}, "not a regular file", "pipes, sockets and devices have no length; copy them to a file first");
        return file;
    }
    struct ::stat status(std::string const& path) const {
        struct ::stat result {};
        if (::fstat(fd_, &result) != 0) throw_errno("open_file", path, "stat", errno);
        return result;
    }
    std::uint64_t length(std::string const& path) const { return static_cast<std::uint64_t>(status(path).st_size); }

private:
    int fd_ = -1;
};

/// The error of a file whose length changed under its reader.
[[noreturn]] inline void throw_changed(std::string const& path, std::uint64_t byte, std::uint64_t opened, std::uint64_t now) {
    throw stage_error("read", fault::io, place{path, {}, byte, {}},
                      message("the file was ", now < opened ? "shortened" : "lengthened", " while it was read: ", opened, " bytes when opened, ", now, " now"),
                      "write shards under another name and rename them when they are complete");
}

}  // namespace penstock::io
