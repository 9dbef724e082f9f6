#include <penstock/sources/lines.hpp>

#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>
#include <support/temp_dir.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {
using texts = std::vector<std::string>;
texts all_of(std::string const& path) { return ps::lines(path) | ps::collect(); }
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("lines: source contract", "[unit][lines]") {
    test::temp_dir const dir;
    auto const ends = GENERATE(as<std::string>{}, "\n", "\r\n");
    auto const model = [](int n, test::facts const&) {
        texts out;
        for (int i = 0; i != n; ++i) out.push_back(i % 5 == 3 ? "" : std::string(static_cast<std::size_t>(i % 7), 'x') + std::to_string(i));
        return out;
    };
    auto const path_of = [&](int n) {
        auto const path = dir.path(std::to_string(n) + (ends.size() == 1 ? ".lf" : ".crlf"));
        if (!fs::exists(path)) {
            std::string text;
            for (auto const& line : model(n, {})) text += line + ends;
            dir.write(fs::path(path).filename().string(), text);
        }
        return path;
    };
    test::battery(test::source_case{
        .name = "lines",
        .make = [&](int n, ps::world) { return ps::lines(path_of(n)); },
        .model = model,
        .broken = [&](int n, int) {
            dir.write("long", std::string(50, 'k') + "\nshort\n");
            (void)n;
            return ps::lines(dir.path("long"), {.longest = 49});
        },
    });
}

TEST_CASE("lines: the example", "[unit][lines]") {
    using namespace ps;
    test::temp_dir const dir;
    dir.write("names.txt", "Ada\nGrace\n");
    auto const before = fs::current_path();
    fs::current_path(dir.path());
    auto got =
    // example-begin lines
    lines("names.txt") | collect()    // Ada Grace
    // example-end
    ;
    fs::current_path(before);
    CHECK(got == texts{"Ada", "Grace"});
}

TEST_CASE("lines: ends of lines and of files", "[unit][lines]") {
    test::temp_dir const dir;
    CHECK(all_of(dir.write("a", "")).empty());
    CHECK(all_of(dir.write("b", "\n")) == texts{""});
    CHECK(all_of(dir.write("c", "one")) == texts{"one"});
    CHECK(all_of(dir.write("d", "one\ntwo")) == texts{"one", "two"});
    CHECK(all_of(dir.write("e", "one\r\n\r\ntwo\r\n")) == texts{"one", "", "two"});
    CHECK(all_of(dir.write("f", "a\rb\n\r\r\nc\r")) == texts{"a\rb", "\r", "c\r"});  // a lone \r is data
    CHECK(all_of(dir.write("g", std::string("a\0b\n", 4))) == texts{std::string("a\0b", 3)});
    CHECK(all_of(dir.write("h", "\n\n\n")).size() == 3);
}

TEST_CASE("lines: lines longer than the buffer, resumed at every line", "[unit][lines]") {
    test::temp_dir const dir;
    texts wanted;
    std::string text;
    for (std::size_t const n : {0u, 1u, 262143u, 262144u, 262145u, 700000u, 5u, 262142u, 3u}) {
        wanted.push_back(std::string(n, static_cast<char>('a' + wanted.size())));
        text += wanted.back() + (wanted.size() % 2 ? "\r\n" : "\n");
    }
    wanted.push_back("last");
    auto const path = dir.write("long", text + "last");
    CHECK(all_of(path) == wanted);
    for (std::size_t k = 0; k <= wanted.size() + 1; ++k) {
        auto p = ps::lines(path);
        for (std::size_t i = 0; i != k; ++i) (void)p.next();
        auto q = ps::lines(path);
        q.load(p.save());
        for (auto i = k; i < wanted.size(); ++i) {
            auto const one = q.next();
            REQUIRE(one);
            CHECK((*one == wanted[i]));
        }
        CHECK_FALSE(q.next());
        auto d = ps::lines(path);
        d.reset(0, 0);
        for (std::size_t i = 0; i != k; ++i) CHECK(ps::discard(d.inner()) == (i < wanted.size()));
        if (k < wanted.size()) CHECK((d.next() == wanted[k]));
    }
}

TEST_CASE("lines: a line longer than allowed is passed over, with line and byte", "[unit][lines]") {
    test::temp_dir const dir;
    auto const path = dir.write("text", "one\n" + std::string(600000, 'x') + "\nthree\n" + std::string(11, 'y'));
    auto p = ps::lines(path, {.longest = 10});
    CHECK(p.next() == "one");
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(has(text, path));
    CHECK(has(text, "byte 4: line 2 has 600000 bytes, at most 10 are allowed\n  HINT: "));
    auto q = ps::lines(path, {.longest = 10});
    q.load(p.save());
    CHECK(q.next() == "three");
    CHECK(p.next() == "three");
    CHECK(has(test::error_of<ps::stage_error>([&] { return p.next(); }), "line 4 has 11 bytes"));
    CHECK_FALSE(p.next());
    CHECK(all_of(dir.write("exact", "0123456789\r\n")) == texts{"0123456789"});
}

TEST_CASE("lines: files that cannot be read are named, once per epoch", "[unit][lines]") {
    test::temp_dir const dir;
    auto check = [](std::string const& path, std::string_view cause) {
        auto p = ps::lines(path);
        for (std::uint64_t epoch = 0; epoch != 2; ++epoch) {
            auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
            CHECK(has(text, path));
            CHECK(has(text, cause));
            CHECK(has(text, "\n  HINT: "));
            CHECK_FALSE(p.next());
            auto q = ps::lines(path);
            q.load(p.save());
            CHECK_FALSE(q.next());
            p.reset(0, epoch + 1);
        }
    };
    check(dir.path("missing"), "cannot open the file: No such file or directory");
    check(dir.path("no/such"), "No such file or directory");
    check(dir.path(), "cannot read the file: Is a directory");
    auto const secret = dir.write("secret", "x\n");
    ::chmod(secret.c_str(), 0);
    if (::geteuid() != 0) check(secret, "cannot open the file: Permission denied");
    auto appears = ps::lines(dir.path("later"));
    CHECK_THROWS_AS(appears.next(), ps::stage_error);
    dir.write("later", "now\n");
    appears.reset(0, 0);
    CHECK(appears.next() == "now");
}

TEST_CASE("lines: a file that changed since the state was saved is refused", "[unit][lines]") {
    test::temp_dir const dir;
    auto const path = dir.write("text", "one\ntwo\nthree\n");
    auto p = ps::lines(path);
    (void)p.next();
    auto const saved = p.save();
    dir.write("text", "one\ntwo\n");
    auto q = ps::lines(path);
    CHECK(has(test::error_of<ps::state_error>([&] { return q.load(saved), 0; }), path + " had 14 bytes when the state was saved, and has 8 now\n  HINT: "));
    fs::remove(path);
    CHECK(has(test::error_of<ps::state_error>([&] { return q.load(saved), 0; }), "and cannot be read now"));
    dir.write("text", "on\netwo\nthree\n");
    auto r = ps::lines(path);
    r.load(saved);
    auto const text = test::error_of<ps::stage_error>([&] { return r.next(); });
    CHECK(has(text, "byte 4: no line begins here, where line 2 began when the state was saved\n  HINT: "));
    CHECK_FALSE(r.next());
}

TEST_CASE("lines: a pipe can be read, once", "[unit][lines]") {
    test::temp_dir const dir;
    auto const path = dir.path("pipe");
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::thread writer([&] { std::ofstream(path) << "one\ntwo"; });
    auto const got = all_of(path);
    writer.join();
    CHECK(got == texts{"one", "two"});
}

TEST_CASE("lines: bad arguments are named", "[unit][lines]") {
    CHECK(has(test::error_of<ps::config_error>([] { return ps::lines(""); }), "must name a file, got an empty one\n  HINT: "));
    CHECK(has(test::error_of<ps::config_error>([] { return ps::lines("x", {.longest = 0}); }), "longest must be >= 1 byte, got 0\n  HINT: "));
}
