// Implements: csv_log, one row of metrics per logged step, without duplicates after a resume.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, stage_error, message
#include <penstock/train/durable_file.hpp>  // defines: durable_file, detail::write_error
#include <penstock/train/hold_signal.hpp>   // defines: detail::hold_signal

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::train {

/// A CSV file: a header `step,<column>,...`, then one row per call of row(); numbers in the shortest form that reads back the same.
///
/// Order    that of the calls
/// Buffers  rows since the last flush(); call it with every checkpoint
/// Resume   `resumed` = step of the checkpoint: later rows (and a last line cut by a kill) are dropped, columns of the old file and lines that are no rows stay. Without it
///          the file starts anew, and the old one gets a free name, <file>.old, <file>.old-2, ...
/// Threads  none; one rank writes
/// Errors   config_error, when it is built, for a name that holds anything but such a file: that is not touched; stage_error (io) with file and
///          errno from flush(), which keeps the rows
///
///     csv_log log("run/metrics.csv", {"loss", "lr"});
///     log.row(100, {{"loss", 0.5}, {"lr", 0.001}});    // 100,0.5,0.001
class csv_log {
public:
    csv_log(std::filesystem::path path, std::vector<std::string> columns, std::optional<std::uint64_t> resumed = {}) : path_(std::move(path)), resumed_(resumed) {
        for (auto const& c : columns) add_column(c);
        refuse_foreign();
    }
    csv_log(csv_log const&) = delete;
    ~csv_log() {
        try {
            if (fd_ >= 0 || !rows_.empty()) flush();
        } catch (...) {}  // NOLINT: a destructor has nobody to tell; flush() before to know
        if (fd_ >= 0) ::close(fd_);
    }

    /// Cells that are not named stay empty. A name that is no column yet becomes the last one, empty in the rows before; true then.
    bool row(std::uint64_t step, std::vector<std::pair<std::string_view, double>> const& cells) {
        auto const before = columns_.size();
        one_row r{step, {}};
        for (auto const& [name, value] : cells) {
            char text[40];
            r.cells.emplace_back(add_column(name), std::string(text, std::to_chars(text, text + sizeof text, value).ptr));
        }
        rows_.push_back(std::move(r));
        return columns_.size() != before;
    }

    std::filesystem::path const& path() const { return path_; }
    /// Rows that are not in the file.
    std::size_t waiting() const { return rows_.size(); }
    /// Where the file that was there before went; empty when none was. After the first flush().
    std::string const& moved_to() const { return moved_to_; }

    /// Creates the file if it is not open, and writes waiting rows through to the disk. After an error all that wait are tried again by the next call.
    void flush() {
        if (fd_ < 0) open();
        if (columns_.size() != written_columns_) rewrite((std::numeric_limits<std::uint64_t>::max)());
        if (rows_.empty()) return;
        refuse_lost();
        std::string text;
        for (auto const& r : rows_) text += line_of(r);
        detail::hold_signal quiet(SIGXFSZ);
        auto const end = ::lseek(fd_, 0, SEEK_END);
        for (std::string_view rest = text; !rest.empty();) {
            auto const done = ::write(fd_, rest.data(), rest.size());
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) take_back(end, "write", done < 0 ? errno : ENOSPC);
            rest.remove_prefix(static_cast<std::size_t>(done));
        }
        if (::fsync(fd_) != 0 && errno != EINVAL) take_back(end, "fsync", errno);  // the system forgets what it could not write: the next flush writes it again
        rows_.clear();
    }

private:
    struct one_row {
        std::uint64_t step;
        std::vector<std::pair<std::size_t, std::string>> cells;  // column, number
    };

    std::size_t add_column(std::string_view name) {
        auto const known = std::ranges::find(columns_, name);
        if (known != columns_.end()) return static_cast<std::size_t>(known - columns_.begin());
        if (name.empty() || name.find_first_of(",\"\r\n") != name.npos)
            throw config_error(message("csv_log(", path_.string(), "): column names must be without commas, quotes and line breaks, got '", name, "'\n  HINT: use val/loss or val_loss"));
        columns_.emplace_back(name);
        return columns_.size() - 1;
    }
    std::string line_of(one_row const& r) const {
        std::vector<std::string_view> cells(columns_.size());
        for (auto const& [column, number] : r.cells) cells[column] = number;
        auto out = std::to_string(r.step);
        for (auto const& c : cells) out.append(",").append(c);
        return out + "\n";
    }

    /// The row that a line holds, whose cells stand in these columns; nullopt for a line that is none.
    static std::optional<one_row> read_row(std::string_view line, std::vector<std::size_t> const& places) {
        one_row r{0, {}};
        auto const [end, why] = std::from_chars(line.data(), line.data() + line.size(), r.step);
        auto rest = line.substr(static_cast<std::size_t>(end - line.data()));
        if (why != std::errc{} || static_cast<std::size_t>(std::ranges::count(rest, ',')) > places.size()) return std::nullopt;
        for (auto const place : places) {
            if (!rest.starts_with(',')) break;
            rest.remove_prefix(1);
            auto const cell = rest.substr(0, rest.find(','));
            r.cells.emplace_back(place, cell);
            rest.remove_prefix(cell.size());
        }
        return rest.empty() ? std::optional(std::move(r)) : std::nullopt;
    }

    static bool is_header(std::string_view line) { return line == "step" || line.starts_with("step,"); }
    void refuse_foreign() const {
        std::error_code error;
        auto const status = std::filesystem::status(path_, error);
        if (!std::filesystem::exists(status)) return;
        auto const refuse = [this](auto const&... what) {
            throw config_error(message("csv_log(", path_.string(), "): it must be a file of metrics, or not there; ", what..., "\n  HINT: nothing was touched; name another file, such as metrics.csv in that folder"));
        };
        if (std::filesystem::is_directory(status)) refuse("it is a folder");
        if (!std::filesystem::is_regular_file(status)) refuse("it is no ordinary file");
        std::ifstream in(path_, std::ios::binary);
        if (!in) refuse("it cannot be read");
        std::string line;
        if (std::getline(in, line) && !is_header(line)) refuse("its first line is '", line.substr(0, 60), "' and does not begin with 'step,'");
    }

    /// No half row stays, and none stands there twice.
    [[noreturn]] void take_back(off_t end, char const* call, int code) const {
        if (end >= 0 && ::ftruncate(fd_, end) != 0) throw detail::write_error(path_, "ftruncate", errno);
        throw detail::write_error(path_, call, code);
    }

    /// Rows for a file that was removed, or renamed by a log rotation, would reach nobody.
    void refuse_lost() const {
        struct stat ours {}, there {};
        if (::fstat(fd_, &ours) == 0 && ::stat(path_.c_str(), &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino) return;
        throw stage_error("train", fault::io, {.shard = path_.string()}, "it was removed, renamed or replaced while the run wrote to it", "move it back to its name, rows are kept until then");
    }

    void open() {
        refuse_foreign();
        std::error_code error;
        if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), error);
        if (error) throw detail::write_error(path_.parent_path(), "mkdir", error.value());
        if (!resumed_ && std::filesystem::exists(path_, error)) {
            auto aside = path_.string() + ".old";
            for (int n = 2; std::filesystem::exists(std::filesystem::symlink_status(aside, error)); ++n) aside = message(path_.string(), ".old-", n);
            std::filesystem::rename(path_, aside, error);
            if (error) throw detail::write_error(path_, "rename", error.value());
            moved_to_ = aside;
        }
        rewrite(resumed_.value_or(0));
    }
    /// The file anew, with all columns: its rows up to step `last`.
    void rewrite(std::uint64_t last) {
        refuse_foreign();  // another file may have taken its name since
        std::string line, rows, header = "step";
        std::ifstream in(path_, std::ios::binary);
        if (std::getline(in, line)) {
            std::vector<std::size_t> places;
            for (std::string_view rest = std::string_view(line).substr((std::min)(line.size(), std::size_t{5})); !rest.empty();) {
                auto const end = (std::min)(rest.find(','), rest.size());
                places.push_back(add_column(rest.substr(0, end)));
                rest.remove_prefix((std::min)(end + 1, rest.size()));
            }
            while (std::getline(in, line) && !in.eof()) {  // a last line without its end was cut by a kill
                auto const r = read_row(line, places);
                if (!r) rows += line + "\n";  // a remark of the user's: it has no step
                else if (r->step <= last) rows += line_of(*r);
            }
        }
        if (in.bad()) throw detail::write_error(path_, "read", EIO);  // else the rows behind the bad place would be gone
        if (fd_ >= 0) refuse_lost();
        for (auto const& c : columns_) header += "," + c;
        durable_file fresh(path_);
        fresh.write(header + "\n" + rows);
        fresh.commit();
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
        fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd_ < 0) throw detail::write_error(path_, "open", errno);
        resumed_ = (std::numeric_limits<std::uint64_t>::max)();  // what is there now is this run's
        written_columns_ = columns_.size();
    }

    std::filesystem::path path_;
    std::vector<std::string> columns_{};
    std::optional<std::uint64_t> resumed_;
    std::vector<one_row> rows_{};
    std::string moved_to_{};
    std::size_t written_columns_ = 0;
    int fd_ = -1;
};

}  // namespace penstock::train
