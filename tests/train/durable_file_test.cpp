#include <penstock/train/durable_file.hpp>

#include "files.hpp"

#include <string>
#include <vector>

#include <support/catch.hpp>

namespace train = penstock::train;
using test::error_of;
using test::has;

TEST_CASE("durable_file: appears whole at commit, with its size and checksum", "[unit][durable_file]") {
    test::scratch dir;
    {
        train::durable_file f(dir / "a");
        f.write("12345");
        CHECK_FALSE(test::fs::exists(dir / "a"));
        f.write("6789");
        f.commit();
        CHECK(f.bytes() == 9);
        CHECK(f.checksum() == 0xe3069283u);
    }
    CHECK(test::slurp(dir / "a") == "123456789");
    CHECK(test::entries(dir.path()) == 1);
}

TEST_CASE("durable_file: without commit nothing stays and the old file is as it was", "[unit][durable_file]") {
    test::scratch dir;
    test::spill(dir / "a", "old");
    {
        train::durable_file f(dir / "a");
        f.write("new");
    }
    CHECK(test::slurp(dir / "a") == "old");
    CHECK(test::entries(dir.path()) == 1);
}

TEST_CASE("durable_file: a full disk is an error that names file and errno, and no signal", "[unit][durable_file]") {
    test::scratch dir;
    test::spill(dir / "a", "old");
    std::string text;
    {
        test::file_limit limit(100'000);
        text = error_of<penstock::stage_error>([&] {
            train::durable_file f(dir / "a");
            std::vector<char> const block(80'000);
            f.write(block.data(), block.size());
            f.write(block.data(), block.size());
            f.commit();
        });
    }
    CHECK(has(text, (dir / "a").string()));
    CHECK(has(text, "File too large"));
    CHECK(has(text, "HINT: raise the limit"));
    CHECK(test::slurp(dir / "a") == "old");
    CHECK(test::entries(dir.path()) == 1);
    auto const full = error_of<penstock::stage_error>([] {
        throw train::detail::write_error("/x/y", "write", ENOSPC);
    });
    CHECK(has(full, "/x/y: write: No space left on device (errno 28)"));
    CHECK(has(full, "HINT: free space"));
}

TEST_CASE("durable_file: a missing directory is named", "[unit][durable_file]") {
    test::scratch dir;
    auto const text = error_of<penstock::stage_error>([&] { train::durable_file f(dir / "no/such"); });
    CHECK(has(text, "no/such"));
    CHECK(has(text, "No such file"));
    CHECK(has(text, "HINT"));
    CHECK(has(error_of<penstock::stage_error>([&] { train::sync_directory(dir / "no"); }), "No such file"));
}
