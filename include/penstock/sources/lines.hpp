// Implements: lines(path), the lines of a text file.
#pragma once

#include <penstock/core/stage.hpp>  // defines: pipeline, epoch, state_*, stage_error, config_error

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace penstock {

struct lines_options {
    std::uint64_t longest = std::uint64_t{1} << 30;  ///< bytes; a longer line is an error that passes over it: a file without line ends is no text
};

/// Position: the byte at which the next line begins, and its number. What is buffered is read again after a load.
class lines_source {
public:
    using item_type = std::string;
    lines_source(std::string path, lines_options o) : path_(std::move(path)), longest_(o.longest) {}

    std::optional<std::string> next() {
        std::string text;
        if (!line(&text)) return std::nullopt;
        return text;
    }
    bool discard() { return line(nullptr); }
    void reset(epoch) {
        close();
        at_ = number_ = 0;
        ended_ = false;
    }
    void save(state_writer& w) const { w.stage("lines", 1).put("at", at_).put("line", number_).put("size", size_).put("ended", ended_); }
    void load(state_reader& r) {
        auto const record = r.stage("lines", 1);
        close();
        at_ = record.get("at");
        number_ = record.get("line");
        ended_ = record.get("ended") != 0;
        size_ = record.get("size");
        if (size_ != unknown)
            if (auto const now = size_now(); now != size_)
                throw state_error(message("load: lines: ", path_, " had ", size_, " bytes when the state was saved, ", now == unknown ? "and cannot be read now" : message("and has ", now, " now"),
                                          "\n  HINT: restore the file, or start the epoch again"));
    }
    void stats(stats_report& r) const { r.push_back({.name = "lines", .items = items_, .bytes = bytes_}); }

private:
    static constexpr std::uint64_t unknown = ~std::uint64_t{0};
    static constexpr std::size_t buffered = std::size_t{1} << 18;
    struct closer {
        void operator()(std::FILE* f) const { (void)std::fclose(f); }
    };

    /// Advances over one line, whose text goes to `out`; false at the end.
    bool line(std::string* out) {
        if (ended_) return false;
        if (!file_) open();
        auto const start = at_;
        bool too_long = false, complete = false;
        std::uint64_t length = 0;
        while (!complete) {
            if (head_ == tail_ && !fill()) break;
            auto const* const first = buffer_.get() + head_;
            auto const* const found = static_cast<char const*>(std::memchr(first, '\n', tail_ - head_));
            auto const n = found ? static_cast<std::size_t>(found - first) : tail_ - head_;
            complete = found != nullptr;
            length += n;
            too_long = length > longest_;
            if (out && !too_long) out->append(first, n);
            head_ += n + complete;
            at_ += n + complete;
        }
        if (length == 0 && !complete) {
            ended_ = true;
            close();
            return false;
        }
        ++number_;
        ++items_;
        bytes_ += at_ - start;
        if (too_long)
            throw stage_error("lines", fault::content, {.shard = path_, .byte = start}, message("line ", number_, " has ", length, " bytes, at most ", longest_, " are allowed"),
                              "is it a text file? else raise .longest");
        if (out && complete && !out->empty() && out->back() == '\r') out->pop_back();
        return true;
    }
    /// Reads on; false at the end of the file.
    bool fill() {
        head_ = 0;
        tail_ = 0;
        while (true) {
            errno = 0;
            tail_ = std::fread(buffer_.get(), 1, buffered, file_.get());
            if (tail_ != 0) return true;
            if (!std::ferror(file_.get())) return false;
            auto const why = errno;
            std::clearerr(file_.get());
            if (why != EINTR) fail("read", why);
        }
    }
    void open() {
        errno = 0;
        file_.reset(std::fopen(path_.c_str(), "rb"));
        if (!file_) fail("open", errno);
        std::setbuf(file_.get(), nullptr);  // one buffer is enough
        if (!buffer_) buffer_ = std::make_unique<char[]>(buffered);
        head_ = tail_ = 0;
        size_ = size_now();
        if (at_ == 0) return;
        // a line begins behind the end of another one: the byte before tells whether this is still the file that was saved
        if (at_ - 1 > std::uint64_t{(std::numeric_limits<long>::max)()} || std::fseek(file_.get(), static_cast<long>(at_ - 1), SEEK_SET) != 0) fail("seek", errno);
        if (!fill() || (buffer_[0] != '\n' && at_ != size_)) {
            ended_ = true;
            close();
            throw stage_error("lines", fault::content, {.shard = path_, .byte = at_}, message("no line begins here, where line ", number_ + 1, " began when the state was saved"),
                              "the file changed; start the epoch again");
        }
        head_ = 1;
    }
    /// A file that cannot be read ends here: the error comes once per epoch.
    [[noreturn]] void fail(char const* doing, int why) {
        ended_ = true;
        auto const at = at_;
        close();
        throw stage_error("lines", fault::io, {.shard = path_, .byte = doing == std::string_view("open") ? std::nullopt : std::optional(at)},
                          message("cannot ", doing, " the file: ", std::generic_category().message(why)), "look at the path and who may read it");
    }
    std::uint64_t size_now() const {
        std::error_code failed;
        auto const n = std::filesystem::file_size(path_, failed);
        return failed ? unknown : static_cast<std::uint64_t>(n);
    }
    void close() {
        file_.reset();
        head_ = tail_ = 0;
    }

    std::string path_;
    std::uint64_t longest_;
    std::unique_ptr<std::FILE, closer> file_;
    std::unique_ptr<char[]> buffer_;
    std::size_t head_ = 0, tail_ = 0;  // of the bytes in the buffer that were not looked at yet
    std::uint64_t at_ = 0, number_ = 0, size_ = unknown;
    bool ended_ = false;
    std::uint64_t items_ = 0, bytes_ = 0;
};

/// The lines of the text file `path` without their ends, which are \n or \r\n; the last one may lack it. The file is opened by the first pull.
///
/// Order    the file's
/// Buffers  256 KiB
/// Resume   exact by byte offset: a seek; state_error if the file has another size
/// Threads  none
/// Errors   stage_error that names the path: a file that cannot be opened or read ends the epoch, a line longer than .longest is passed over;
///          config_error for an empty path
///
///     lines("names.txt") | collect()    // Ada Grace
inline auto lines(std::string path, lines_options options = {}) {
    if (path.empty()) throw config_error("lines(path): the path must name a file, got an empty one\n  HINT: give the path of a text file");
    if (options.longest == 0) throw config_error("lines(path): longest must be >= 1 byte, got 0\n  HINT: leave it out for 1 GiB");
    return pipeline(lines_source(std::move(path), options));
}

}  // namespace penstock
