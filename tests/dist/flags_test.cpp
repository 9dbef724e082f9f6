#include <penstock/dist/flags.hpp>

#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;

namespace {

struct taken {
    std::vector<std::string> left, for_ranks;
    dist::options o;
    int nproc;
};

taken take(std::vector<std::string> args) {
    std::vector<char*> argv;
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    int argc = static_cast<int>(args.size());
    taken t;
    auto flags = dist::detail::take_flags(argc, argv.data(), t.o);
    t.nproc = flags.nproc;
    t.for_ranks = std::move(flags.for_ranks);
    t.left.assign(argv.data(), argv.data() + argc);
    CHECK(argv[static_cast<std::size_t>(argc)] == nullptr);
    return t;
}

}  // namespace

TEST_CASE("flags: dist takes its own and leaves the rest", "[unit][dist]") {
    auto const t = take({"prog", "--epochs=3", "--nproc=4", "--step-timeout=2.5", "file", "--init-timeout=7", "--threads-per-rank=2", "--nprocs=1"});
    CHECK(t.nproc == 4);
    CHECK(t.o.step_timeout.count() == 2500);
    CHECK(t.o.init_timeout.count() == 7000);
    CHECK(t.o.threads_per_rank == 2);
    CHECK(t.left == std::vector<std::string>{"prog", "--epochs=3", "file", "--nprocs=1"});
    CHECK(take({"prog"}).nproc == 0);
    auto const apart = take({"prog", "--nproc", "3", "--step-timeout", "2.5", "file"});
    CHECK(apart.nproc == 3);
    CHECK(apart.o.step_timeout == std::chrono::milliseconds(2500));
    CHECK(apart.left == std::vector<std::string>{"prog", "file"});
    CHECK(take({"prog", "--", "--nproc=2"}).left.size() == 3);
}

TEST_CASE("flags: the ranks are started without --nproc, in either form", "[unit][dist]") {
    auto const left = [](std::vector<std::string> const& all) { return take(all).for_ranks; };
    using words = std::vector<std::string>;
    CHECK(left({"prog", "--nproc", "2", "file"}) == words{"prog", "file"});
    CHECK(left({"prog", "--nproc=2", "file", "--", "--nproc=3"}) == words{"prog", "file", "--", "--nproc=3"});
    CHECK(left({"prog", "--step-timeout", "3", "--nproc", "2", "--fp32"}) == words{"prog", "--step-timeout", "3", "--fp32"});
    CHECK(left({"prog", "--nprocs=2"}) == words{"prog", "--nprocs=2"});
}

TEST_CASE("flags: wrong values are named", "[unit][dist]") {
    for (std::string bad : {"--nproc", "--nproc=", "--nproc=0", "--nproc=-1", "--nproc=two", "--nproc=1.5", "--nproc=9999999999", "--step-timeout=0", "--step-timeout=nan", "--threads-per-rank=x"}) {
        CAPTURE(bad);
        try {
            (void)take({"prog", bad});
            CHECK(false);
        } catch (penstock::config_error const& e) {
            std::string const text = e.what();
            CHECK(text.find(bad.substr(0, bad.find('='))) == 0);
            CHECK(text.find("HINT") != text.npos);
        }
    }
}
