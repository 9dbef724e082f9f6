// Implements: save_checkpoint(root, snapshot, peers), after which the new checkpoint is complete or the old ones are as they were.
#pragma once

#include <penstock/core/errors.hpp>              // defines: stage_error, message
#include <penstock/train/checkpoint.hpp>         // defines: snapshot, peers, list_checkpoints
#include <penstock/train/durable_file.hpp>       // defines: sync_directory, detail::write_error
#include <penstock/train/manifest.hpp>           // defines: write_manifest
#include <penstock/train/write_safetensors.hpp>  // defines: write_safetensors

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::train {

struct save_options {
    std::size_t keep = 3;  ///< complete checkpoints to keep, the new one included; 0 keeps all
};

/// Where a checkpoint went, and sentences about what could not be tidied up afterwards (a print, never an error).
struct saved_checkpoint {
    std::filesystem::path directory{};
    std::vector<std::string> notes{};
};

namespace detail {

/// A directory under construction: locked while its writer lives, removed unless it was renamed away.
class building_site {
public:
    explicit building_site(std::filesystem::path path) : path_(std::move(path)) {
        if (::mkdir(path_.c_str(), 0777) != 0) throw write_error(path_, "mkdir", errno);
        fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd_ >= 0) (void)::flock(fd_, LOCK_EX | LOCK_NB);  // says "in use" to another run's sweep; file systems without locks rely on the age
    }
    building_site(building_site const&) = delete;
    ~building_site() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);  // after the exchange of an equal step the old one lies here
        std::filesystem::remove_all(path_.string() + "-old", ignored);
        if (fd_ >= 0) ::close(fd_);
    }

private:
    std::filesystem::path path_;
    int fd_ = -1;
};

/// Removes what killed runs left half written: nobody holds its lock, and it is older than the moment between mkdir and lock.
inline void sweep(std::filesystem::path const& root) {
    std::error_code error;
    auto const now = std::chrono::system_clock::now();
    for (std::filesystem::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
        auto const name = it->path().filename().string();
        bool const link = name.starts_with("latest.tmp-");
        if (!link && (!name.starts_with("step-") || name.find(".tmp-") == name.npos)) continue;
        struct stat s {};
        if (::lstat(it->path().c_str(), &s) != 0) continue;
        auto const age = now - std::chrono::system_clock::from_time_t(s.st_mtime);
        if (age < std::chrono::minutes(1)) continue;
        std::error_code gone;
        if (link) {  // it is renamed as soon as it is there
            std::filesystem::remove(it->path(), gone);
            continue;
        }
        int const fd = ::open(it->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) continue;
        bool const free = ::flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && age > std::chrono::hours(24));
        if (free) std::filesystem::remove_all(it->path(), gone);
        ::close(fd);
    }
}

/// Puts `site` at `target` in one step, also where a directory of that name exists (a step that is saved again): then they change places.
inline void move_into_place(std::filesystem::path const& site, std::filesystem::path const& target) {
    for (int attempt = 0; attempt < 8; ++attempt) {  // another run may make or purge `target` between two calls
        if (::rename(site.c_str(), target.c_str()) == 0) return;
        if (errno != ENOTEMPTY && errno != EEXIST) throw write_error(target, "rename", errno);
        if (::renameat2(AT_FDCWD, site.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
        if (errno == ENOENT) continue;
        if (errno != EINVAL && errno != ENOSYS) throw write_error(target, "rename", errno);
        auto const aside = site.string() + "-old";  // no exchange on this file system: for a moment only the older checkpoints exist
        if (::rename(target.c_str(), aside.c_str()) != 0 && errno != ENOENT) throw write_error(target, "rename", errno);
    }
    throw write_error(target, "rename", EEXIST);
}

inline void point_latest(std::filesystem::path const& root, std::string const& name) {
    auto const fresh = root / ("latest.tmp-" + unique_tag());
    if (::symlink(name.c_str(), fresh.c_str()) != 0) throw write_error(fresh, "symlink", errno);
    if (::rename(fresh.c_str(), (root / "latest").c_str()) != 0) {
        int const code = errno;
        ::unlink(fresh.c_str());
        throw write_error(root / "latest", "rename", code);
    }
}

/// A checkpoint leaves by a rename, so that a kill in the middle of the removal leaves no half one under its name.
inline void purge(std::filesystem::path const& root, std::size_t keep, std::vector<std::string>& notes) {
    std::size_t complete = 0;
    for (auto const& e : list_checkpoints(root)) {
        if (!e.about || ++complete <= keep) continue;
        auto const from = root / step_name(e.step);
        auto const to = root / (step_name(e.step) + ".tmp-" + unique_tag());
        std::error_code error;
        std::filesystem::rename(from, to, error);
        if (!error) std::filesystem::remove_all(to, error);
        if (error && error != std::errc::no_such_file_or_directory) notes.push_back(message("an old checkpoint could not be removed: ", from.string(), ": ", error.message()));
    }
}

inline file_mark mark_of(std::filesystem::path const& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw write_error(file, "open", errno);
    file_mark mark;
    std::vector<char> block(1 << 20);
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
        mark.checksum = crc32c(block.data(), static_cast<std::size_t>(in.gcount()), mark.checksum);
        mark.bytes += static_cast<std::uint64_t>(in.gcount());
    }
    if (in.bad()) throw write_error(file, "read", EIO);
    return mark;
}

}  // namespace detail

/// Writes a checkpoint of all ranks into `root`/step-N: files, manifest, then one rename by rank 0. `root` must be one directory for all ranks.
///
/// Order    every rank calls it at the same point; three agreements (`peers::any`) and one value of rank 0
/// Buffers  one tensor on the host at a time
/// Resume   a kill at any moment leaves the earlier checkpoints complete; what it left half written is swept by a later save
/// Threads  none; two runs may save into one directory at once
/// Errors   if one rank fails, all throw stage_error (io): the one that failed with its reason, the others with a sentence; nothing half written stays
///
///     auto at = save_checkpoint("run", {.step = 100, .model = state_of(net), .optim = opt.state()}).directory;    // run/step-0000000100
inline saved_checkpoint save_checkpoint(std::filesystem::path const& root, snapshot const& s, peers const& all = {}, save_options o = {}) {
    bool const lead = all.rank == 0;
    std::exception_ptr mine;
    auto agreed = [&](auto&& work) {  // runs `work` unless this rank has failed already; then every rank goes on or every rank throws
        try {
            work();
        } catch (...) { mine = std::current_exception(); }
        if (!all.any(mine != nullptr)) return;
        if (mine) std::rethrow_exception(mine);
        throw stage_error("train", fault::io, {.shard = (root / detail::step_name(s.step)).string()}, "another rank could not write its part of this checkpoint",
                          "its own message says why; the last complete checkpoint is untouched");
    };
    auto const tag = all.first(lead ? std::uint64_t{std::random_device{}()} << 32 | std::random_device{}() : 0);
    auto const site = root / message(detail::step_name(s.step), ".tmp-", std::hex, tag);
    manifest m{.step = s.step, .epoch = s.epoch, .samples = s.samples, .world = all.world, .model = fingerprint(s.model), .chain = s.chain, .metadata = s.metadata};
    std::optional<detail::building_site> building;
    saved_checkpoint out{root / detail::step_name(s.step), {}};

    agreed([&] {
        if (!lead) return;
        std::error_code error;
        std::filesystem::create_directories(root, error);
        if (error) throw detail::write_error(root, "mkdir", error.value());
        detail::sweep(root);
        building.emplace(site);
    });
    agreed([&] {
        std::error_code ignored;
        if (!std::filesystem::is_directory(site, ignored))
            throw stage_error("train", fault::io, {.shard = site.string()}, message("rank ", all.rank, " does not see the directory that rank 0 made"),
                              "checkpoints need one directory that all ranks share");
        if (lead) m.files[detail::model_file] = write_safetensors(site / detail::model_file, s.model, {{"format", "pt"}});
        if (lead) m.files[detail::optim_file] = write_safetensors(site / detail::optim_file, s.optim);
        auto own = s.rank;
        auto text = at::empty({static_cast<std::int64_t>(s.pipeline.size())}, at::kByte);
        if (!s.pipeline.empty()) std::memcpy(text.data_ptr(), s.pipeline.data(), s.pipeline.size());
        own.emplace_back(detail::pipeline_tensor, text);
        m.files[detail::rank_file(all.rank)] = write_safetensors(site / detail::rank_file(all.rank), own);
        sync_directory(site);
    });
    agreed([&] {
        if (!lead) return;
        for (int r = 1; r < all.world; ++r) m.files[detail::rank_file(r)] = detail::mark_of(site / detail::rank_file(r));
        for (auto const& e : list_checkpoints(root))
            if (e.about) m.serial = (std::max)(m.serial, e.about->serial);
        ++m.serial;
        write_manifest(site, m);
        sync_directory(site);
        detail::move_into_place(site, out.directory);
        sync_directory(root);
    });
    if (!lead) return out;
    try {
        detail::point_latest(root, detail::step_name(s.step));
    } catch (stage_error const& bad) { out.notes.push_back(message("the checkpoint is complete, but 'latest' is not updated: ", bad.what())); }
    try {
        if (o.keep != 0) detail::purge(root, o.keep, out.notes);
    } catch (state_error const& bad) { out.notes.push_back(message("old checkpoints are not removed: ", bad.what())); }
    return out;
}

}  // namespace penstock::train
