// Implements: tests of shard_list: braces, globs, directories, files of names, the environment, and every wrong form.
#include <penstock/sources/shard_list.hpp>

#include <support/temp_dir.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

std::string all(ps::shard_plan const& plan) {
    std::string out;
    for (std::size_t i = 0; i != plan.shards(); ++i) out += (i == 0 ? "" : " ") + plan.names()[i];
    return out;
}
template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (ps::config_error const& e) {
        return e.what();
    }
    return {};
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("shard_list: the example of its comment", "[unit][sources]") {
    // example-begin shard_list
    auto n = ps::shard_list("train-{000..002}.tar").shards()    // 3
    // example-end shard_list
        ;
    CHECK(n == 3);
}

TEST_CASE("shard_list: parts, environment and braces in the order of W21", "[unit][sources]") {
    CHECK(all(ps::shard_list("a-{0..1}.tar::b.tar::")) == "a-0.tar a-1.tar b.tar");
    ::setenv("WDS_PENSTOCK_A", "x{1..2}", 1);
    ::setenv("WDS_PENSTOCK_B", "${PENSTOCK_A}/y", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_A}.tar")) == "x1.tar x2.tar");
    CHECK(all(ps::shard_list("p/${PENSTOCK_B}")) == "p/x1/y p/x2/y");
    ::setenv("WDS_PENSTOCK_C", "${PENSTOCK_C}", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_C}")) == "${PENSTOCK_C}");  // a circle ends
    auto const text = refusal([] { (void)ps::shard_list("${PENSTOCK_NOT_SET}/a.tar"); });
    CHECK(has(text, "${PENSTOCK_NOT_SET} needs the environment variable WDS_PENSTOCK_NOT_SET or PENSTOCK_NOT_SET, and neither is set"));
    CHECK(has(text, "HINT: export WDS_PENSTOCK_NOT_SET=..."));
    ::setenv("PENSTOCK_D", "plain", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_D}.tar")) == "plain.tar");
    ::setenv("WDS_PENSTOCK_D", "first", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_D}.tar")) == "first.tar");
    CHECK(all(ps::shard_list("${}.tar")) == "${}.tar");
}

TEST_CASE("shard_list: globs, directories and files of names, joined by ::", "[unit][sources]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    for (auto d : {"a", "b", "c", "empty"}) std::filesystem::create_directory(dir.path(d));
    for (auto f : {"a/x-1.tar", "a/x-10.tar", "a/x-2.tar", "a/y.txt", "b/x-1.tar", "b/*.tar", "c/Y.TAR", "c/x.tar", "c/z.taR", "c/.TAR", "c/tar"}) dir.write(f, "");
    auto const list = dir.write("shards.txt", "# a comment\r\n\none.tar\r\ntwo {1..3}.tar  \n*.tar\nlast.tar");
    auto const found = [&](std::string const& pattern) {
        auto text = all(ps::shard_list(pattern));
        for (std::size_t at; (at = text.find(base)) != text.npos;) text.erase(at, base.size());
        return text;
    };
    CHECK(found(base + "{b,a}/x-*.tar") == "b/x-1.tar a/x-1.tar a/x-10.tar a/x-2.tar");
    CHECK(found(base + "a") == "a/x-1.tar a/x-10.tar a/x-2.tar");
    CHECK(found(base + "a/::" + base + "b/x-1.tar") == "a/x-1.tar a/x-10.tar a/x-2.tar b/x-1.tar");
    CHECK(found(base + "{a,b}/") == "a/x-1.tar a/x-10.tar a/x-2.tar b/*.tar b/x-1.tar");
    CHECK(found(base + "b/\\*.tar") == "b/*.tar");
    CHECK(found(base + "c") == "c/Y.TAR c/x.tar c/z.taR");  // in whatever case the ending is written
    CHECK(found(base + "b/\\**") == "b/*.tar");
    CHECK(found("@" + list) == "one.tar two {1..3}.tar *.tar last.tar");
    ::setenv("WDS_PENSTOCK_DIR", dir.path().c_str(), 1);
    CHECK(found("@${PENSTOCK_DIR}/shards.txt::s3://bucket/x-{0..1}.tar?version=[1]") == "one.tar two {1..3}.tar *.tar last.tar s3://bucket/x-0.tar?version=[1] s3://bucket/x-1.tar?version=[1]");
    CHECK(all(ps::shard_list({base + "a", "@x", "*"})) == base + "a @x *");  // a list is taken as it is

    struct row {
        std::string pattern, text;
    };
    dir.write("nul.txt", std::string_view("a\0b\n", 4));
    dir.write("none.txt", "\n# nothing\n \n");
    for (auto const& [pattern, text] : {row{base + "a/z*", "no file matches '" + base + "a/z*'"}, row{base + "{a,empty}/x*", "no file matches '" + base + "empty/x*'"}, row{base + "empty", "empty/ is empty"},
                                        row{base + "nowhere/", "cannot list the directory " + base + "nowhere/: No such file"}, row{"@" + base + "no.txt", "@ needs a file that can be read, got '" + base + "no.txt'"},
                                        row{"@", "@ needs a file that can be read, got ''"}, row{"@" + base + "a", "cannot read " + base + "a"}, row{"@" + base + "nul.txt", "line 1 of " + base + "nul.txt is no text"},
                                        row{"@" + base + "none.txt", "holds no name"}, row{"s3://bucket/*.tar", "the names behind an address cannot be looked up"}, row{base + "a/{x", "a '{' has no '}' after it"},
                                        row{base + "{a,a}/*.tar", "each shard may occur once"}, row{base + "a/x-1.tar::" + base + "b/x-1.tar::" + base + "/a/./x-1.tar", "a/./x-1.tar is number 0 (as " + base + "a/x-1.tar) and number 2"},
                                        row{"a.tar::./a.tar", "./a.tar is number 0 (as a.tar) and number 1"}}) {
        auto const got = refusal([&] { (void)ps::shard_list(pattern); });
        INFO(pattern << " gives " << got);
        CHECK(has(got, "shard_list(\"" + pattern + "\"): "));
        CHECK(has(got, text));
        CHECK(has(got, "\n  HINT: "));
    }
}

TEST_CASE("shard_list: a hundred thousand names", "[unit][sources]") {
    auto const plan = ps::shard_list("s3://bucket/{train,more}/part-{00..49}/{0000..0999}.tar");
    REQUIRE(plan.shards() == 100'000);
    CHECK(plan.names()[0] == "s3://bucket/train/part-00/0000.tar");
    CHECK(plan.names()[51'007] == "s3://bucket/more/part-01/0007.tar");
    CHECK(plan.names()[99'999] == "s3://bucket/more/part-49/0999.tar");
}

TEST_CASE("shard_list: a list is taken as it is", "[unit][sources]") {
    CHECK(all(ps::shard_list({"a{1..2}", "b::c"})) == "a{1..2} b::c");
    CHECK(all(ps::shard_list(std::vector<std::string>{"one"})) == "one");
}

TEST_CASE("shard_list: empty lists, empty names and names that occur twice are named", "[unit][sources]") {
    for (auto const& text : {refusal([] { (void)ps::shard_list(""); }), refusal([] { (void)ps::shard_list("::"); }), refusal([] { (void)ps::shard_list(std::vector<std::string>{}); })}) {
        CHECK(has(text, "at least one shard, got none"));
        CHECK(has(text, "HINT"));
    }
    CHECK(has(refusal([] { (void)ps::shard_list({"a", ""}); }), "a path is empty"));
    auto const text = refusal([] { (void)ps::shard_list("x-{0..3}.tar::y.tar::x-2.tar"); });
    CHECK(has(text, "x-2.tar is number 2 and number 5"));
    CHECK(has(refusal([] { (void)ps::shard_list("{a,b,a}"); }), "a is number 0 and number 2"));
    CHECK(has(refusal([] { (void)ps::shard_list({"q", "r", "r"}); }), "r is number 1 and number 2"));
    CHECK(has(refusal([] { (void)ps::shard_list("{0..9999999999}"); }), "2^32 - 2 shards"));
}
