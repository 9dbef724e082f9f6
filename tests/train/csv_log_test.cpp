#include <penstock/train/csv_log.hpp>

#include "files.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include <support/catch.hpp>

namespace train = penstock::train;
using test::error_of;
using test::has;

TEST_CASE("csv_log: rows in the shortest exact form", "[unit][csv_log]") {
    test::scratch dir;
    train::csv_log log(dir / "run/metrics.csv", {"loss", "lr"});
    log.row(100, {{"loss", 0.5}, {"lr", 0.001}});
    log.row(200, {{"lr", 1.0 / 3}});
    log.row(300, {{"loss", std::nan("")}});
    CHECK_FALSE(test::fs::exists(dir / "run"));  // nothing is touched before the first flush
    log.flush();
    CHECK(test::slurp(dir / "run/metrics.csv") == "step,loss,lr\n100,0.5,0.001\n200,,0.3333333333333333\n300,nan,\n");
    CHECK(has(error_of<penstock::config_error>([&] { log.row(1, {{"a,c", 1}}); }), "'a,c'"));
}

TEST_CASE("csv_log: a resume drops later rows and a cut line", "[unit][csv_log]") {
    test::scratch dir;
    {
        train::csv_log log(dir / "m.csv", {"loss"});
        for (std::uint64_t s : {10u, 20u, 30u, 40u}) log.row(s, {{"loss", static_cast<double>(s)}});
    }
    test::spill(dir / "m.csv", test::slurp(dir / "m.csv") + "25,1");
    {
        train::csv_log log(dir / "m.csv", {"loss"}, 30);
        log.row(40, {{"loss", 0.25}});
    }
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n10,10\n20,20\n30,30\n40,0.25\n");
    {
        train::csv_log log(dir / "new.csv", {"loss"}, 30);
        log.flush();
    }
    CHECK(test::slurp(dir / "new.csv") == "step,loss\n");
}

TEST_CASE("csv_log: a line that is no row stays, over a resume and a new column", "[unit][csv_log]") {
    test::scratch dir;
    test::spill(dir / "m.csv", "step,loss\n10,1\n# a lower rate from here\n20,2\n20,2,3\n30,\n40,4\n");
    train::csv_log log(dir / "m.csv", {"loss"}, 30);
    log.flush();
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n10,1\n# a lower rate from here\n20,2\n20,2,3\n30,\n");
    log.row(40, {{"lr", 0.5}});
    log.flush();
    CHECK(test::slurp(dir / "m.csv") == "step,loss,lr\n10,1,\n# a lower rate from here\n20,2,\n20,2,3\n30,,\n40,,0.5\n");
}

TEST_CASE("csv_log: a fresh start gives every file of before a name of its own", "[unit][csv_log]") {
    test::scratch dir;
    for (int run = 0; run != 3; ++run) {
        train::csv_log log(dir / "m.csv", {"loss"});
        log.row(1, {{"loss", run}});
        log.flush();
        CHECK(log.moved_to() == (run == 0 ? "" : run == 1 ? (dir / "m.csv.old").string() : (dir / "m.csv.old-2").string()));
    }
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n1,2\n");
    CHECK(test::slurp(dir / "m.csv.old") == "step,loss\n1,0\n");
    CHECK(test::slurp(dir / "m.csv.old-2") == "step,loss\n1,1\n");
}

TEST_CASE("csv_log: what is no file of metrics is refused, and stays as it is", "[unit][csv_log]") {
    test::scratch dir;
    test::fs::create_directories(dir / "folder/old-run");
    test::spill(dir / "notes.txt", "dear diary\n");
    for (auto const resumed : {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{5}}) {
        CHECK(has(error_of<penstock::config_error>([&] { train::csv_log(dir / "folder", {"a"}, resumed); }), "it is a folder\n  HINT: nothing was touched"));
        CHECK(has(error_of<penstock::config_error>([&] { train::csv_log(dir / "notes.txt", {"a"}, resumed); }), "its first line is 'dear diary'"));
        CHECK(has(error_of<penstock::config_error>([&] { train::csv_log("/dev/null", {"a"}, resumed); }), "no ordinary file"));
    }
    {
        train::csv_log log(dir / "later", {"a"});  // the folder comes while the run is on
        log.row(1, {{"a", 1}});
        test::fs::create_directories(dir / "later/old-run");
        CHECK(has(error_of<penstock::config_error>([&] { log.flush(); }), "it is a folder"));
    }
    CHECK(test::fs::exists(dir / "later/old-run"));
    CHECK(test::fs::exists(dir / "folder/old-run"));
    CHECK(test::slurp(dir / "notes.txt") == "dear diary\n");
    CHECK(test::entries(dir.path()) == 3);
}

TEST_CASE("csv_log: a new column comes last, and is empty in the rows before; a resume keeps the columns of the file", "[unit][csv_log]") {
    test::scratch dir;
    {
        train::csv_log log(dir / "m.csv", {"a"});
        CHECK_FALSE(log.row(1, {{"a", 1}}));
        log.flush();
        CHECK(log.row(2, {{"a", 2}, {"b", 5}}));
        CHECK_FALSE(log.row(3, {{"b", 6}}));
        log.flush();
    }
    CHECK(test::slurp(dir / "m.csv") == "step,a,b\n1,1,\n2,2,5\n3,,6\n");
    {
        train::csv_log log(dir / "m.csv", {"c", "b"}, 2);
        log.row(3, {{"c", 7}, {"b", 8}});
    }
    CHECK(test::slurp(dir / "m.csv") == "step,c,b,a\n1,,,1\n2,,5,2\n3,7,8,\n");
}

TEST_CASE("csv_log: a full disk is an error, and the rows come with the next flush", "[unit][csv_log]") {
    test::scratch dir;
    train::csv_log log(dir / "m.csv", {"loss"});
    log.flush();
    for (std::uint64_t s = 0; s < 100; ++s) log.row(s, {{"loss", 1}});
    std::string text;
    {
        test::file_limit limit(50);
        text = error_of<penstock::stage_error>([&] { log.flush(); });
    }
    CHECK(has(text, "m.csv"));
    CHECK(has(text, "File too large"));
    CHECK(log.waiting() == 100);
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n");  // no half row
    log.flush();
    auto const all = test::slurp(dir / "m.csv");
    CHECK(std::count(all.begin(), all.end(), '\n') == 101);
    CHECK(has(all, "\n49,1\n50,1\n"));
    CHECK(has(error_of<penstock::config_error>([&] { train::csv_log(dir / "x.csv", {"a,b"}); }), "'a,b'"));
    CHECK(has(error_of<penstock::stage_error>([&] { train::csv_log("/proc/penstock/x.csv", {"a"}).flush(); }), "/proc/penstock"));
}

TEST_CASE("csv_log: rows that cannot be read again for a new column stay where they are", "[unit][csv_log]") {
    test::scratch dir;
    auto const in_the_way = [&](auto put) {
        test::fs::remove(dir / "m.csv");
        train::csv_log log(dir / "m.csv", {"a"});
        log.row(1, {{"a", 1}});
        log.flush();
        test::fs::rename(dir / "m.csv", dir / "kept.csv");
        put(dir / "m.csv");
        log.row(2, {{"b", 2}});
        auto const text = error_of<penstock::error>([&] { log.flush(); });
        CHECK(log.waiting() == 1);
        test::fs::rename(dir / "m.csv", dir / "foreign");
        test::fs::rename(dir / "kept.csv", dir / "m.csv");
        log.flush();
        CHECK(test::slurp(dir / "m.csv") == "step,a,b\n1,1,\n2,,2\n");
        return text;
    };
    CHECK(has(in_the_way([](auto const& path) { test::spill(path, "dear diary\n"); }), "its first line is 'dear diary'"));
    CHECK(test::slurp(dir / "foreign") == "dear diary\n");
    CHECK(has(in_the_way([](auto const& path) { test::fs::create_symlink("/proc/self/mem", path); }), "read: Input/output error"));  // a disk that fails in the middle
}

TEST_CASE("csv_log: a file that was removed or renamed under it is an error, and keeps the rows", "[unit][csv_log]") {
    test::scratch dir;
    train::csv_log log(dir / "m.csv", {"loss"});
    log.row(1, {{"loss", 1}});
    log.flush();
    log.row(2, {{"loss", 2}});
    test::fs::rename(dir / "m.csv", dir / "rotated.csv");
    CHECK(has(error_of<penstock::stage_error>([&] { log.flush(); }), "m.csv"));
    std::ofstream(dir / "m.csv") << "of another program";
    CHECK(has(error_of<penstock::stage_error>([&] { log.flush(); }), "m.csv"));
    CHECK(log.waiting() == 1);
    CHECK(test::slurp(dir / "m.csv") == "of another program");
    test::fs::rename(dir / "rotated.csv", dir / "m.csv");
    log.flush();
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n1,1\n2,2\n");
}
