// Implements: mmap_source, a file read without copying, for files that nobody changes while they are read.
#pragma once

#include <penstock/io/bus_guard.hpp>    // defines: bus_guard
#include <penstock/io/byte_source.hpp>  // defines: byte_source
#include <penstock/io/file_handle.hpp>  // defines: file_handle, file_marks, throw_changed

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace penstock::io {

namespace detail {
/// The mapping, shared by the source and its blobs. Unmapping is last, after the guard forgot it.
struct mapping {
    std::byte const* memory = nullptr;
    std::size_t length = 0;
    bus_guard::slot* guard = nullptr;

    mapping(std::byte const* at, std::size_t bytes) : memory(at), length(bytes), guard(bus_guard::watch(at, bytes)) {}
    mapping(mapping const&) = delete;
    mapping& operator=(mapping const&) = delete;
    ~mapping() {
        if (guard != nullptr) bus_guard::forget(*guard);
        ::munmap(const_cast<std::byte*>(memory), length);
    }
};
}  // namespace detail

/// Blobs point into the page cache and cost no private memory. In exchange the caller promises that the file stays as it is: a file that
/// is written to or shortened all the same ends in a stage_error after another MiB and at the latest where the shard ends, never in a crash
/// (bus_guard), but a blob that was handed out before shows the new bytes, or zeros where they are gone. pread_source has no such gap.
class mmap_source final : public byte_source {
public:
    explicit mmap_source(std::string path) : path_(std::move(path)), file_(file_handle::for_reading(path_)), opened_(file_marks::of(file_.status(path_))), size_(opened_.bytes) {
        if (size_ == 0) return;  // an empty mapping is an error to the kernel; there is nothing to read either
        void* const memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.get(), 0);
        if (memory == MAP_FAILED) throw_errno("open_file", path_, "map", errno);
        map_ = std::make_shared<detail::mapping>(static_cast<std::byte const*>(memory), size_);
        if (map_->guard == nullptr)
            throw stage_error("open_file", fault::io, place{path_, {}, {}, {}}, "more than 4096 files are mapped at once", "use file_access::pread for so many files, or a smaller shuffle window");
    }

    std::string const& name() const override { return path_; }
    std::uint64_t size() const override { return size_; }

    blob read(std::uint64_t offset, std::size_t length) override { return {peek(offset, length), map_}; }
    std::span<std::byte const> peek(std::uint64_t offset, std::size_t length) override {
        check_range(offset, length);
        if (cancelled_.load(std::memory_order_relaxed)) fail(offset, "cancelled", "the pipeline was stopped while this read was under way");
        if (length == 0) return {};
        if (offset + length > checked_ || map_->guard->broken.load()) {
            verify();
            checked_ = offset + length + (1 << 20);  // one fstat (0.35 us) per MiB of progress
        }
        return {map_->memory + offset, length};
    }
    void verify() override {
        auto const now = file_marks::of(file_.status(path_));
        if (map_ != nullptr && now.bytes == size_ && map_->guard->broken.load())
            fail(0, message("the file was shortened while it was read and then lengthened again to ", number_of(size_, "byte")), "write shards under another name and rename them when they are complete");
        if (now != opened_) throw_changed(path_, size_, opened_, now);
    }
    void cancel() noexcept override { cancelled_.store(true, std::memory_order_relaxed); }

private:
    std::string path_;
    file_handle file_;
    file_marks opened_;
    std::uint64_t size_;
    std::uint64_t checked_ = 0;
    std::shared_ptr<detail::mapping const> map_;
    std::atomic<bool> cancelled_ = false;
};

}  // namespace penstock::io
