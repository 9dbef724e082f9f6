// Implements: fake_shards, a shard format in memory whose shards fail where a test says.
#pragma once

#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock::test {

/// What the shards hold, shared by the readers of a test.
struct fake_disk {
    struct shard {
        std::uint64_t samples = 0;
        std::set<std::uint64_t> faulty{};           ///< samples that fail alone
        std::optional<std::uint64_t> damaged_at{};  ///< nothing from this sample on can be read
        bool missing = false;
        std::optional<std::uint64_t> blocks_at{};   ///< waits there until cancelled
    };
    std::map<std::string, shard> shards;
    std::vector<std::string> opened;
    std::uint64_t made = 0;  ///< values made by next()

    std::mutex guard;
    std::condition_variable changed;
    bool waiting = false;
};

class fake_shard {
public:
    fake_shard(std::shared_ptr<fake_disk> disk, std::string name) : disk_(std::move(disk)), name_(std::move(name)), shard_(disk_->shards.at(name_)) {}

    std::optional<std::string> next() {
        if (!advance()) return std::nullopt;
        check();
        ++disk_->made;
        return name_ + '/' + key(index_ - 1);
    }
    bool discard() {
        if (!advance()) return false;
        check();
        return true;
    }
    std::uint64_t skip(std::uint64_t n) {
        std::uint64_t passed = 0;
        while (passed != n && advance()) ++passed;
        return passed;
    }
    std::uint64_t index() const { return index_; }
    void cancel() noexcept {
        auto const lock = std::lock_guard(disk_->guard);
        cancelled_ = true;
        disk_->changed.notify_all();
    }

    static std::string key(std::uint64_t i) { return "k" + std::to_string(i); }

private:
    void check() const {
        if (shard_.faulty.contains(index_ - 1)) throw stage_error("fake", fault::content, place{name_, key(index_ - 1), index_ - 1, {}}, "bad sample", "mend it");
    }
    bool advance() {
        {
            auto lock = std::unique_lock(disk_->guard);
            if (shard_.blocks_at == index_) {
                disk_->waiting = true;
                disk_->changed.notify_all();
                disk_->changed.wait(lock, [&] { return cancelled_; });
            }
            if (cancelled_) throw stage_error("fake", fault::io, place{name_, {}, {}, {}}, "cancelled");
        }
        if (shard_.damaged_at == index_) throw stage_error("fake", fault::content, place{name_, {}, 512 * index_, {}}, "torn", "copy it again");
        if (index_ == shard_.samples) return false;
        ++index_;
        return true;
    }
    std::shared_ptr<fake_disk> disk_;
    std::string name_;
    fake_disk::shard shard_;
    std::uint64_t index_ = 0;
    bool cancelled_ = false;
};

struct fake_shards {
    using value_type = std::string;
    static constexpr char const* stage = "read_fake";
    std::shared_ptr<fake_disk> disk = std::make_shared<fake_disk>();

    std::shared_ptr<fake_shard> open(std::string const& path, std::uint64_t) {
        disk->opened.push_back(path);
        if (disk->shards.at(path).missing) throw stage_error("open", fault::io, place{path, {}, {}, {}}, "no such file", "look for it");
        return std::make_shared<fake_shard>(disk, path);
    }
    std::string key(std::string const& v) const { return v.substr(v.find('/') + 1); }
    std::uint64_t bytes(std::string const& v) const { return v.size(); }
};

}  // namespace penstock::test
