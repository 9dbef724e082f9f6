// Implements: atomic_file, a file that appears under its name only when it is complete and on disk.
#pragma once

#include <penstock/io/file_handle.hpp>  // defines: file_handle, throw_errno
#include <penstock/io/locked_file.hpp>  // defines: lock_file, if_busy

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::io {

/// Writes to a hidden file beside it, temporary_of(path), whose name nobody else uses; commit() makes it `<path>`. Without commit, or after an
/// error, the temporary is removed and `<path>` is as it was. Two processes cannot write one path at the same time.
class atomic_file {
public:
    atomic_file(std::string path, std::string who, if_busy busy = if_busy::fail)
        : path_(std::move(path)), temporary_(temporary_of(path_)), who_(std::move(who)), file_(lock_file(temporary_, who_, busy)) {
        if (::ftruncate(file_.get(), 0) != 0) fail("truncate", errno);
        buffer_.reserve(buffered);
    }
    atomic_file(atomic_file&& other) noexcept
        : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), who_(std::move(other.who_)), file_(std::move(other.file_)),
          buffer_(std::move(other.buffer_)), bytes_(other.bytes_), open_(std::exchange(other.open_, false)) {}
    atomic_file& operator=(atomic_file&&) = delete;
    ~atomic_file() { abandon(); }

    /// "dir/a.tar" -> "dir/.a.tar.penstock-tmp"
    static std::string temporary_of(std::string const& path) {
        auto const base = path.rfind('/') + 1;  // npos + 1 is 0
        return path.substr(0, base) + (path.compare(base, 1, ".") == 0 ? "" : ".") + path.substr(base) + ".penstock-tmp";
    }

    void write(std::string_view bytes) {
        bytes_ += bytes.size();
        if (buffer_.size() + bytes.size() > buffered) flush();
        if (bytes.size() > buffered) put(bytes);
        else buffer_ += bytes;
    }
    /// Bytes written so far.
    std::uint64_t size() const { return bytes_; }
    std::string const& path() const { return path_; }

    /// On disk first, then under its name, then the name on disk: after a power cut the old file or the whole new one is there.
    void commit() {
        flush();
        if (::fsync(file_.get()) != 0) fail("write to disk", errno);
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename to its final name", errno);
        open_ = false;
        auto const slash = path_.rfind('/');
        auto const directory = file_handle(::open(slash == path_.npos ? "." : path_.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (directory.get() >= 0) ::fsync(directory.get());  // some file systems cannot, and need not
    }
    file_handle const& file() const { return file_; }

private:
    static constexpr std::size_t buffered = 1 << 20;

    void flush() {
        put(buffer_);
        buffer_.clear();
    }
    void put(std::string_view bytes) {
        while (!bytes.empty()) {
            auto const n = ::write(file_.get(), bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) fail(message("write ", number_of(bytes.size(), "byte")), n == 0 ? ENOSPC : errno);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    [[noreturn]] void fail(std::string const& doing, int number) {
        abandon();
        throw_errno(who_, path_, doing, number);
    }
    void abandon() noexcept {
        if (std::exchange(open_, false)) ::unlink(temporary_.c_str());
    }

    std::string path_, temporary_, who_;
    file_handle file_;
    std::string buffer_{};
    std::uint64_t bytes_ = 0;
    bool open_ = true;
};

}  // namespace penstock::io
