// Implements: tests of mmap_source: sharing, and files that shrink while they are mapped.
#include <penstock/io/mmap_source.hpp>

#include <support/temp_dir.hpp>

#include <sys/wait.h>

#include <filesystem>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::io);
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("mmap_source: blobs share the mapping and outlive the source", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto bytes = ps::blob{};
    {
        auto source = ps::io::mmap_source(dir.write("f", "0123456789"));
        CHECK(source.size() == 10);
        bytes = source.read(3, 4);
        CHECK(bytes.data() == source.peek(3, 1).data());
        CHECK(error_of([&] { source.read(8, 3); }).find("asked of 10") != std::string::npos);
        CHECK_NOTHROW(source.verify());
        source.cancel();
        CHECK(error_of([&] { source.read(0, 1); }).find("cancelled") != std::string::npos);
    }
    CHECK(bytes.text() == "3456");
}

TEST_CASE("mmap_source: a shortened file is an error, never SIGBUS", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("f", std::string(3 << 20, 'x'));
    auto source = ps::io::mmap_source(path);
    auto const head = source.read(0, 1000);
    auto const tail = source.read((2 << 20) + 5, 10'000);
    fs::resize_file(path, 1 << 20);
    // The blob was handed out before: its bytes are gone, which reads as zeros and marks the source.
    for (auto b : tail.bytes()) REQUIRE((b == std::byte{0} || b == std::byte{'x'}));
    CHECK(head.text() == std::string(1000, 'x'));
    auto const text = error_of([&] { source.read(10, 10); });
    CHECK(text.find(path) != std::string::npos);
    CHECK(text.find("shortened while it was read: 3145728 bytes when opened, 1048576 now") != std::string::npos);
    CHECK(error_of([&] { source.verify(); }).find("shortened") != std::string::npos);
    fs::resize_file(path, 3 << 20);  // the length is back, the bytes are not
    CHECK(error_of([&] { source.verify(); }).find("lengthened again") != std::string::npos);
}

TEST_CASE("mmap_source: a shortened file is found without touching the lost pages", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("f", std::string(5000, 'x'));
    auto source = ps::io::mmap_source(path);
    (void)source.read(0, 10);
    fs::resize_file(path, 4500);  // inside the last page: the kernel gives zeros there, no signal
    CHECK(source.read(4600, 1).text() == std::string(1, '\0'));
    CHECK(error_of([&] { source.verify(); }).find("4500 now") != std::string::npos);
}

TEST_CASE("bus_guard: a fault elsewhere ends the process as before", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const ours = ps::io::mmap_source(dir.write("ours", std::string(5000, 'x')));
    auto const path = dir.write("theirs", std::string(5000, 'y'));
    auto const child = ::fork();
    if (child == 0) {
        ::alarm(20);
        auto const file = ps::io::file_handle::for_reading(path);
        auto const* p = static_cast<char const volatile*>(::mmap(nullptr, 5000, PROT_READ, MAP_SHARED, file.get(), 0));
        fs::resize_file(path, 0);
        ::_exit(p[0] == 'y' ? 71 : 72);  // not reached: the handler that was there before ours ends the process
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) >= 71));
    CHECK((WIFEXITED(status) || WTERMSIG(status) == SIGBUS));
}
