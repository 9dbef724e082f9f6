// Implements: faulty_source, a byte source in memory that delays, fails on request, counts its reads and can be cancelled while it waits.
#pragma once

#include <penstock/io/byte_source.hpp>  // defines: byte_source

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace penstock::test {

class faulty_source final : public io::byte_source {
public:
    explicit faulty_source(std::string bytes, std::string name = "memory") : name_(std::move(name)), bytes_(blob::own(std::move(bytes))) {}

    std::chrono::milliseconds delay{0};                ///< before every read
    std::function<bool(std::uint64_t read)> fails{};   ///< asked with the number of the read, from 0
    std::uint64_t reads = 0, bytes_read = 0;
    std::function<void()> on_verify{};

    std::string const& name() const override { return name_; }
    std::uint64_t size() const override { return bytes_.size(); }
    blob read(std::uint64_t offset, std::size_t length) override {
        check_range(offset, length);
        auto const number = reads++;
        {
            auto lock = std::unique_lock(guard_);
            woken_.wait_for(lock, delay, [&] { return cancelled_; });
            if (cancelled_) fail(offset, "cancelled", "none");
        }
        if (fails && fails(number)) fail(offset, "the test made this read fail", "none");
        bytes_read += length;
        return bytes_.part(static_cast<std::size_t>(offset), length);
    }
    void verify() override {
        if (on_verify) on_verify();
    }
    void cancel() noexcept override {
        {
            auto const lock = std::lock_guard(guard_);
            cancelled_ = true;
        }
        woken_.notify_all();
    }

private:
    std::string name_;
    blob bytes_;
    std::mutex guard_;
    std::condition_variable woken_;
    bool cancelled_ = false;
};

}  // namespace penstock::test
