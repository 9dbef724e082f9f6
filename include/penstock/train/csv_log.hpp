// Implements: csv_log, one row of metrics per logged step, without duplicates after a resume.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, state_error, message
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
#include <unistd.h>

namespace penstock::train {

/// A CSV file: a header `step,<column>,...`, then one row per call of row(); numbers in the shortest form that reads back the same.
///
/// Order    that of the calls
/// Buffers  rows since the last flush(); call it with every checkpoint
/// Resume   `resumed` = step of the checkpoint: later rows (and a last line cut by a kill) are dropped. Without it the file starts anew, the old one becomes <file>.old
/// Threads  none; one rank writes
/// Errors   config_error for an unknown column; state_error when the old header is another; stage_error (io) with file and errno
///
///     csv_log log("run/metrics.csv", {"loss", "lr"});
///     log.row(100, {{"loss", 0.5}, {"lr", 0.001}});    // 100,0.5,0.001
class csv_log {
public:
    csv_log(std::filesystem::path path, std::vector<std::string> columns, std::optional<std::uint64_t> resumed = {})
        : path_(std::move(path)), columns_(std::move(columns)) {
        std::string header = "step";
        for (auto const& c : columns_) {
            if (c.empty() || c.find_first_of(",\"\r\n") != c.npos)
                throw config_error(message("csv_log(", path_.string(), "): column names must be without commas, quotes and line breaks, got '", c, "'\n  HINT: use val/loss or val_loss"));
            header += "," + c;
        }
        header += "\n";
        std::error_code error;
        if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), error);
        if (error) throw detail::write_error(path_.parent_path(), "mkdir", error.value());
        bool const there = std::filesystem::exists(path_, error);
        if (there && !resumed) std::filesystem::rename(path_, path_.string() + ".old", error);
        if (error) throw detail::write_error(path_, "rename", error.value());
        durable_file fresh(path_);
        fresh.write(there && resumed ? kept_rows(header, *resumed) : header);
        fresh.commit();
        fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd_ < 0) throw detail::write_error(path_, "open", errno);
    }
    csv_log(csv_log const&) = delete;
    ~csv_log() {
        try {
            flush();
        } catch (stage_error const&) {}  // NOLINT: a destructor has nobody to tell; flush() before to know
        ::close(fd_);
    }

    /// Cells that are not named stay empty.
    void row(std::uint64_t step, std::vector<std::pair<std::string_view, double>> const& cells) {
        std::vector<std::string> line(columns_.size());
        for (auto const& [name, value] : cells) {
            auto const c = std::ranges::find(columns_, name);
            if (c == columns_.end())
                throw config_error(message("csv_log(", path_.string(), "): must be a column of the file, got '", name, "'\n  HINT: name every column when it is opened"));
            char text[40];
            auto const end = std::to_chars(text, text + sizeof text, value).ptr;
            line[static_cast<std::size_t>(c - columns_.begin())].assign(text, end);
        }
        waiting_ += std::to_string(step);
        for (auto const& cell : line) waiting_ += "," + cell;
        waiting_ += "\n";
    }

    /// Writes waiting rows through to the disk. After an error the rows that did not reach it are tried again by the next call.
    void flush() {
        if (waiting_.empty()) return;
        detail::hold_signal quiet(SIGXFSZ);
        while (!waiting_.empty()) {
            auto const done = ::write(fd_, waiting_.data(), waiting_.size());
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) throw detail::write_error(path_, "write", done < 0 ? errno : ENOSPC);
            waiting_.erase(0, static_cast<std::size_t>(done));
        }
        if (::fsync(fd_) != 0 && errno != EINVAL) throw detail::write_error(path_, "fsync", errno);
    }

private:
    [[nodiscard]] std::string kept_rows(std::string const& header, std::uint64_t resumed) const {
        std::ifstream in(path_, std::ios::binary);
        if (!in) throw state_error(message("csv_log(", path_.string(), "): cannot be read to continue it\n  HINT: it must be readable by this user"));
        std::string line, out = header;
        if (!std::getline(in, line)) return out;
        if (line + "\n" != header)
            throw state_error(message("csv_log(", path_.string(), "): columns must be those of the file to continue it, ", line, ", got ", header,
                                      "  HINT: move the old file away"));
        while (std::getline(in, line) && !in.eof()) {  // a last line without its end was cut by a kill
            std::uint64_t step = (std::numeric_limits<std::uint64_t>::max)();
            std::from_chars(line.data(), line.data() + line.size(), step);
            if (step <= resumed) out += line + "\n";
        }
        return out;
    }

    std::filesystem::path path_;
    std::vector<std::string> columns_;
    std::string waiting_{};
    int fd_ = -1;
};

}  // namespace penstock::train
