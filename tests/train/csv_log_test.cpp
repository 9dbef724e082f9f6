#include <penstock/train/csv_log.hpp>

#include "files.hpp"

#include <cmath>
#include <limits>
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
    CHECK(test::slurp(dir / "run/metrics.csv") == "step,loss,lr\n");
    log.flush();
    CHECK(test::slurp(dir / "run/metrics.csv") == "step,loss,lr\n100,0.5,0.001\n200,,0.3333333333333333\n300,nan,\n");
    CHECK(has(error_of<penstock::config_error>([&] { log.row(1, {{"acc", 1}}); }), "'acc'"));
}

TEST_CASE("csv_log: a resume drops later rows and a cut line", "[unit][csv_log]") {
    test::scratch dir;
    {
        train::csv_log log(dir / "m.csv", {"loss"});
        for (std::uint64_t s : {10, 20, 30, 40}) log.row(s, {{"loss", static_cast<double>(s)}});
    }
    test::spill(dir / "m.csv", test::slurp(dir / "m.csv") + "25,1");
    {
        train::csv_log log(dir / "m.csv", {"loss"}, 30);
        log.row(40, {{"loss", 0.25}});
    }
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n10,10\n20,20\n30,30\n40,0.25\n");
    CHECK(has(error_of<penstock::state_error>([&] { train::csv_log(dir / "m.csv", {"other"}, 30); }), "step,loss"));
    { train::csv_log log(dir / "m.csv", {"loss"}); }
    CHECK(test::slurp(dir / "m.csv") == "step,loss\n");
    CHECK(has(test::slurp(dir / "m.csv.old"), "40,0.25"));
    { train::csv_log log(dir / "new.csv", {"loss"}, 30); }
    CHECK(test::slurp(dir / "new.csv") == "step,loss\n");
}

TEST_CASE("csv_log: a full disk is an error, and the rows come with the next flush", "[unit][csv_log]") {
    test::scratch dir;
    train::csv_log log(dir / "m.csv", {"loss"});
    for (std::uint64_t s = 0; s < 100; ++s) log.row(s, {{"loss", 1}});
    std::string text;
    {
        test::file_limit limit(50);
        text = error_of<penstock::stage_error>([&] { log.flush(); });
    }
    CHECK(has(text, "m.csv"));
    CHECK(has(text, "File too large"));
    log.flush();
    auto const all = test::slurp(dir / "m.csv");
    CHECK(std::count(all.begin(), all.end(), '\n') == 101);
    CHECK(has(all, "\n49,1\n50,1\n"));
    CHECK(has(error_of<penstock::config_error>([&] { train::csv_log(dir / "x.csv", {"a,b"}); }), "'a,b'"));
    CHECK(has(error_of<penstock::stage_error>([&] { train::csv_log("/proc/penstock/x.csv", {"a"}); }), "/proc/penstock"));
}
