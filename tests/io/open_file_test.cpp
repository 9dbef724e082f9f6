// Implements: tests of open_file: what cannot be opened is named with the reason and a way out.
#include <penstock/io/open_file.hpp>

#include <support/temp_dir.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string error_of(std::string const& path, ps::io::open_options o) {
    try {
        (void)ps::io::open_file(path, o);
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::io);
        CHECK(e.where.shard == path);
        CHECK(std::string(e.what()).find("HINT: ") != std::string::npos);
        return e.what();
    }
    return "no error";
}
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("open_file: both ways refuse what is no readable file", "[unit][io]") {
    auto const way = GENERATE(ps::io::file_access::automatic, ps::io::file_access::mmap, ps::io::file_access::pread);
    auto const dir = test::temp_dir{};
    auto const o = ps::io::open_options{.access = way};
    CHECK(has(error_of(dir.path("missing.tar"), o), "cannot open for reading: No such file or directory (errno 2)"));
    CHECK(has(error_of(dir.path(), o), "Is a directory"));
    CHECK(has(error_of(dir.path("no/such/dir.tar"), o), "No such file or directory"));
    ::mkfifo(dir.path("fifo").c_str(), 0600);
    CHECK(has(error_of(dir.path("fifo"), o), "not a regular file"));  // and does not wait for a writer
    auto const secret = dir.write("secret", "x");
    ::chmod(secret.c_str(), 0);
    if (::geteuid() != 0) CHECK(has(error_of(secret, o), "Permission denied (errno 13)"));
    auto const empty = ps::io::open_file(dir.write("empty", ""), o);
    CHECK(empty->size() == 0);
    CHECK(empty->read(0, 0).empty());
    CHECK_NOTHROW(empty->verify());
    CHECK(ps::io::file_opener(o)(dir.write("f", "abc"))->read(1, 2).text() == "bc");
}
