// Implements: descriptor_pool, the few descriptors that many files share which are read now and then.
#pragma once

#include <penstock/io/file_handle.hpp>  // defines: file_handle

#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace penstock::io {

/// Keeps the descriptors that were used last, at most 64 in the process and an eighth of its limit of open files. Who holds the file_handle of one
/// that is dropped reads on; it is closed behind him. Used from any thread.
class descriptor_pool {
public:
    static descriptor_pool& of_process() {
        static descriptor_pool all;
        return all;
    }

    /// The descriptor that `last` had, or if it was closed meanwhile what `open` returns; when that fails, it is tried again with all others given up.
    template <class Open>
    std::shared_ptr<file_handle const> lend(std::weak_ptr<file_handle const>& last, Open open) {
        auto file = last.lock();
        if (!file) {
            try {
                file = std::make_shared<file_handle const>(open());
            } catch (stage_error const&) {
                if (!give_up()) throw;
                file = std::make_shared<file_handle const>(open());
            }
            last = file;
        }
        keep(file);
        return file;
    }
    /// Open files it may hold now.
    static std::size_t most() {
        struct ::rlimit limit {};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 64;
        return std::clamp<std::size_t>(static_cast<std::size_t>(limit.rlim_cur) / 8, 2, 64);
    }

private:
    void keep(std::shared_ptr<file_handle const> const& file) {
        auto const lock = std::lock_guard(guard_);
        if (auto const at = std::find(used_.begin(), used_.end(), file); at != used_.end()) {
            std::rotate(at, at + 1, used_.end());
            return;
        }
        for (auto const room = most(); used_.size() >= room;) used_.erase(used_.begin());
        used_.push_back(file);
    }
    bool give_up() {
        auto const lock = std::lock_guard(guard_);
        bool const any = !used_.empty();
        used_.clear();
        return any;
    }

    std::mutex guard_;
    std::vector<std::shared_ptr<file_handle const>> used_;  // the one used last at the end
};

}  // namespace penstock::io
