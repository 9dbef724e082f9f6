// Implements: pread_source, a file read by copying: what was handed out can no longer change, shrink or fault.
#pragma once

#include <penstock/io/byte_source.hpp>      // defines: byte_source
#include <penstock/io/descriptor_pool.hpp>  // defines: descriptor_pool
#include <penstock/io/file_handle.hpp>      // defines: file_handle, file_marks, check_unchanged, errno_text

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace penstock::io {

/// Short requests are served from one window that is reused, so it stays in the CPU's cache and a sequential walk over small members
/// costs one system call per 256 KiB. The window is 4 KiB after a jump and grows fourfold while requests follow each other, so a header
/// scan over large members reads little. Blobs own exactly their bytes: a shuffle window pins no neighbours.
/// After every system call length and time of change are those of the file when it was opened, else it is a stage_error: no byte of a later
/// write is handed out (file_marks says how fine that is), and one of a mere `touch` neither.
/// `pooled`: its descriptor is one of the process's descriptor_pool and may be closed between two reads; a file that was replaced meanwhile is an error.
class pread_source final : public byte_source {
public:
    explicit pread_source(std::string path, bool pooled = false) : path_(std::move(path)) {
        auto const open = [&] { return file_handle::for_reading(path_); };
        auto const file = pooled ? descriptor_pool::of_process().lend(lent_, open) : std::make_shared<file_handle const>(open());
        opened_ = file_marks::of(file->status(path_));
        size_ = opened_.bytes;
        if (!pooled) own_ = file;
    }

    std::string const& name() const override { return path_; }
    std::uint64_t size() const override { return size_; }

    blob read(std::uint64_t offset, std::size_t length) override {
        check_range(offset, length);
        auto owner = std::make_shared_for_overwrite<std::byte[]>(length);
        if (length <= windowed) {
            auto const bytes = window(offset, length);
            std::copy(bytes.begin(), bytes.end(), owner.get());
        } else {
            fill(owner.get(), offset, length);
        }
        auto const bytes = std::span<std::byte const>(owner.get(), length);
        return {bytes, std::move(owner)};
    }
    std::span<std::byte const> peek(std::uint64_t offset, std::size_t length) override {
        check_range(offset, length);
        return window(offset, length);
    }
    void verify() override {
        check_unchanged(*descriptor(), path_, size_, opened_);
    }
    /// A read that the kernel itself blocks (a dead network mount) ends when the kernel returns.
    void cancel() noexcept override { cancelled_.store(true, std::memory_order_relaxed); }

private:
    static constexpr std::size_t windowed = 32 << 10;      // longer requests go straight to their own memory
    static constexpr std::size_t smallest = 4 << 10, largest = 256 << 10;
    static constexpr std::uint64_t padding = 511;          // tar members end up to this far before the next header

    std::span<std::byte const> window(std::uint64_t offset, std::size_t length) {
        if (offset < at_ || offset + length > at_ + held_) {
            bool const onward = held_ != 0 && offset >= at_ && offset <= at_ + held_ + padding;
            auto const step = onward ? (std::min)(step_ * 4, largest) : smallest;
            auto const want = static_cast<std::size_t>((std::min<std::uint64_t>)((std::max)(step, length), size_ - offset));
            if (want > room_) {
                held_ = 0;
                room_ = want;
                memory_ = std::make_unique_for_overwrite<std::byte[]>(want);
            }
            held_ = 0;  // a read that throws leaves no half window
            fill(memory_.get(), offset, want);
            at_ = offset;
            held_ = want;
            step_ = step;
        }
        return {memory_.get() + (offset - at_), length};
    }
    std::shared_ptr<file_handle const> descriptor() {
        if (own_) return own_;
        return descriptor_pool::of_process().lend(lent_, [&] {
            auto file = file_handle::for_reading(path_);
            check_unchanged(file, path_, size_, opened_);
            return file;
        });
    }
    void fill(std::byte* to, std::uint64_t offset, std::size_t length) {
        auto const file = descriptor();
        while (length != 0) {
            if (cancelled_.load(std::memory_order_relaxed)) fail(offset, "cancelled", "the pipeline was stopped while this read was under way");
            auto const got = ::pread(file->get(), to, (std::min<std::size_t>)(length, 16 << 20), static_cast<off_t>(offset));
            if (got < 0) {
                if (errno == EINTR) continue;
                auto const number = errno;
                fail(offset, message("cannot read ", number_of(length, "byte"), ": ", errno_text(number)), std::string(errno_hint(number)));
            }
            if (got == 0) {
                check_unchanged(*file, path_, offset, opened_);
                fail(offset, message("the system returned none of ", number_of(length, "byte"), " although the file has them"), "try again; the file system misbehaves");
            }
            to += got;
            offset += static_cast<std::uint64_t>(got);
            length -= static_cast<std::size_t>(got);
        }
        check_unchanged(*file, path_, offset, opened_);
    }

    std::string path_;
    std::shared_ptr<file_handle const> own_;
    std::weak_ptr<file_handle const> lent_;
    file_marks opened_;
    std::uint64_t size_ = 0;
    std::unique_ptr<std::byte[]> memory_;
    std::size_t room_ = 0, held_ = 0, step_ = smallest;
    std::uint64_t at_ = 0;
    std::atomic<bool> cancelled_ = false;
};

}  // namespace penstock::io
