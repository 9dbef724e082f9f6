// Implements: locked_file, a file that one process at a time has open for writing, and that a killed process leaves free.
#pragma once

#include <penstock/io/file_handle.hpp>  // defines: file_handle, throw_errno

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::io {

enum class if_busy {
    fail,  ///< stage_error: another process is writing
    wait,  ///< until the other one has ended
};

/// Creates `path` or takes over what a killed process left there; a link, a directory or a device of that name is refused. The kernel drops the lock with the process, so nothing has to be cleaned up by hand.
inline file_handle lock_file(std::string const& path, std::string_view who, if_busy busy) {
    while (true) {
        auto file = file_handle(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644));
        if (file.get() < 0) throw_errno(who, path, "create", errno);
        if (!S_ISREG(file.status(path).st_mode)) throw stage_error(who, fault::io, place{path, {}, {}, {}}, "what bears the name is not a regular file", "move it away");
        while (::flock(file.get(), busy == if_busy::wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
            if (errno == EINTR) continue;
            if (errno == EWOULDBLOCK)
                throw stage_error(who, fault::io, place{path, {}, {}, {}}, "another process is writing here", "wait until it has ended, or write elsewhere");
            throw_errno(who, path, "lock", errno);
        }
        // Its owner may have renamed or removed the file between our open and our lock: then the lock is on another file.
        struct ::stat now {};
        auto const ours = file.status(path);
        if (::stat(path.c_str(), &now) == 0 && now.st_ino == ours.st_ino && now.st_dev == ours.st_dev) return file;
    }
}

/// Holds `path` as a lock; the file is gone afterwards. A file of that name that is not empty is no lock: it is refused and left as it is.
class directory_lock {
public:
    directory_lock(std::string path, std::string_view who, if_busy busy = if_busy::fail) : path_(std::move(path)), file_(lock_file(path_, who, busy)) {
        if (file_.status(path_).st_size != 0) throw stage_error(who, fault::io, place{path_, {}, {}, {}}, "a lock is wanted here, and a file of that name holds something", "move it away: it is not ours");
    }
    directory_lock(directory_lock const&) = delete;
    directory_lock& operator=(directory_lock const&) = delete;
    ~directory_lock() { ::unlink(path_.c_str()); }  // while the lock is held, so that nobody else's file is removed

private:
    std::string path_;
    file_handle file_;
};

}  // namespace penstock::io
