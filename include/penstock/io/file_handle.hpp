// Implements: file_handle, an open regular file, the errors of opening one, and file_marks, which show whether it is still the same.
#pragma once

#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault, message, number_of

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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
        case EISDIR: return "a folder bears that name; to read, name a file in it, or a pattern such as 'dir/train-{000..007}.tar'";
        case ELOOP: return "a link bears that name; move it away";
        case ENOTDIR: return "a file stands where a folder is wanted; move it away";
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

private:
    int fd_ = -1;
};

/// What changes when a file is written to or replaced, and can be looked up without reading it. A write shows here before its bytes can be read;
/// two writes within one tick of the kernel's clock (1 to 10 ms) look like one.
struct file_marks {
    ::dev_t device = 0;
    ::ino_t inode = 0;
    std::uint64_t bytes = 0;
    std::int64_t mtime_ns = 0;

    static file_marks of(struct ::stat const& s) { return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size), std::int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec}; }
    friend bool operator==(file_marks const&, file_marks const&) = default;
};

/// The error of a file that changed under its reader.
[[noreturn]] inline void throw_changed(std::string const& path, std::uint64_t byte, file_marks const& opened, file_marks const& now) {
    auto const why = opened.device != now.device || opened.inode != now.inode ? "another file took its name while it was read"
                     : opened.bytes != now.bytes ? message("the file was ", now.bytes < opened.bytes ? "shortened" : "lengthened", " while it was read: ", number_of(opened.bytes, "byte"), " when opened, ", now.bytes, " now")
                                                 : "the file was written to while it was read: its length is the same, its time of change is not";
    throw stage_error("read", fault::io, place{path, {}, (std::min)({byte, opened.bytes, now.bytes}), {}}, why, "write shards under another name and rename them when they are complete");
}
/// Throws unless the file is the one that was opened, as it was.
inline void check_unchanged(file_handle const& file, std::string const& path, std::uint64_t byte, file_marks const& opened) {
    if (auto const now = file_marks::of(file.status(path)); now != opened) throw_changed(path, byte, opened, now);
}

}  // namespace penstock::io
