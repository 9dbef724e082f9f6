// Implements: tests of atomic_file and locked_file: all or nothing, one writer at a time, full disks, killed writers.
#include <penstock/io/atomic_file.hpp>

#include <support/temp_dir.hpp>

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;
using ps::io::atomic_file;

namespace {
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::io);
        CHECK(std::string(e.what()).find("HINT: ") != std::string::npos);
        return e.what();
    }
    return "no error";
}
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("atomic_file: there when committed, as before otherwise", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("f", "old");
    {
        auto file = atomic_file(path, "test");
        file.write("new");
        CHECK(fs::exists(atomic_file::temporary_of(path)));
    }
    CHECK(test::file_bytes(path) == "old");
    CHECK_FALSE(fs::exists(atomic_file::temporary_of(path)));
    auto const large = std::string(3 << 20, 'L');
    auto file = atomic_file(path, "test");
    file.write("a");
    file.write(large);
    file.write("z");
    auto moved = std::move(file);
    CHECK(moved.size() == large.size() + 2);
    CHECK(test::file_bytes(path) == "old");
    moved.commit();
    CHECK(test::file_bytes(path) == "a" + large + "z");
    CHECK_FALSE(fs::exists(atomic_file::temporary_of(path)));
}

TEST_CASE("atomic_file: a second writer is refused, or waits", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.path("f");
    auto first = atomic_file(path, "test");
    first.write("first");
    auto const text = error_of([&] { atomic_file(path, "write_tar"); });
    CHECK(has(text, "write_tar: " + atomic_file::temporary_of(path) + ": another process is writing here"));
    auto waiting = std::jthread([&] {
        auto second = atomic_file(path, "test", ps::io::if_busy::wait);
        second.write("second");
        second.commit();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    first.commit();
    {
        auto const done = std::move(first);  // closes, and so unlocks
    }
    waiting.join();
    CHECK(test::file_bytes(path) == "second");
}

TEST_CASE("atomic_file: what a killed writer left is taken over", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.path("f");
    auto const child = ::fork();
    if (child == 0) {
        auto file = atomic_file(path, "test");
        file.write(std::string(3 << 20, 'k'));
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(fs::exists(atomic_file::temporary_of(path)));
    CHECK_FALSE(fs::exists(path));
    auto file = atomic_file(path, "test");
    file.write("whole");
    file.commit();
    CHECK(test::file_bytes(path) == "whole");
}

TEST_CASE("atomic_file: a full disk removes the temporary and names file and reason", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("f", "old");
    ::signal(SIGXFSZ, SIG_IGN);
    auto limit = ::rlimit{}, small = ::rlimit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 100'000;
    ::setrlimit(RLIMIT_FSIZE, &small);  // as a disk that ends there: the kernel refuses the write
    auto const text = error_of([&] {
        auto file = atomic_file(path, "write_tar");
        file.write(std::string(50'000, 'x'));
        file.write(std::string(2 << 20, 'x'));
    });
    auto const late = error_of([&] {
        auto file = atomic_file(path, "write_tar");
        file.write(std::string(200'000, 'x'));
        file.commit();
    });
    ::setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(has(text, "write_tar: " + path + ": cannot write"));
    CHECK(has(text, "File too large (errno 27)"));
    CHECK(has(late, "cannot write"));
    CHECK(test::file_bytes(path) == "old");
    CHECK_FALSE(fs::exists(atomic_file::temporary_of(path)));
    CHECK(ps::io::errno_hint(ENOSPC).find("free some space") != std::string_view::npos);
}

TEST_CASE("atomic_file: a directory that does not exist, or must not be written", "[unit][io]") {
    auto const dir = test::temp_dir{};
    CHECK(has(error_of([&] { atomic_file(dir.path("no/f"), "write_tar"); }), "cannot create: No such file or directory (errno 2)"));
    fs::create_directory(dir.path("f"));
    auto const text = error_of([&] {
        auto file = atomic_file(dir.path("f"), "write_tar");
        file.commit();
    });
    CHECK(has(text, "cannot rename to its final name: Is a directory"));
    CHECK_FALSE(fs::exists(atomic_file::temporary_of(dir.path("f"))));
}

TEST_CASE("directory_lock: held once, and gone afterwards", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.path("lock");
    {
        auto const held = ps::io::directory_lock(path, "write_tar");
        CHECK(has(error_of([&] { ps::io::directory_lock(path, "write_tar"); }), "another process is writing here"));
    }
    CHECK_FALSE(fs::exists(path));
    CHECK_NOTHROW(ps::io::directory_lock(path, "write_tar"));
}

TEST_CASE("atomic_file: what is not ours is left alone: a file <name>.tmp, and links and directories in the way", "[unit][io]") {
    auto const dir = test::temp_dir{};
    CHECK(atomic_file::temporary_of("a/b.tar") == "a/.b.tar.penstock-tmp");
    CHECK(atomic_file::temporary_of(".hidden") == ".hidden.penstock-tmp");
    auto const path = dir.path("f"), foreign = dir.write("f.tmp", "the user's own"), target = dir.write("target", "of a link");
    {
        auto file = atomic_file(path, "test");
        file.write("ours");
        file.commit();
    }
    CHECK(test::file_bytes(foreign) == "the user's own");
    fs::create_symlink(target, atomic_file::temporary_of(path));
    CHECK(has(error_of([&] { atomic_file(path, "test"); }), "cannot create"));
    CHECK(test::file_bytes(target) == "of a link");
    fs::remove(atomic_file::temporary_of(path));
    fs::create_directory(atomic_file::temporary_of(path));
    CHECK(has(error_of([&] { atomic_file(path, "test"); }), "cannot create"));
    CHECK(test::file_bytes(path) == "ours");
}

TEST_CASE("directory_lock: a file that holds something is no lock, and stays", "[unit][io]") {
    auto const dir = test::temp_dir{};
    auto const path = dir.write("lock", "notes");
    CHECK(has(error_of([&] { ps::io::directory_lock(path, "write_tar"); }), "a file of that name holds something\n  HINT: move it away"));
    CHECK(test::file_bytes(path) == "notes");
}
