// Implements: tests of globs and directories of shards: what matches, in which order, and every way to match nothing.
#include <penstock/sources/shard_glob.hpp>

#include <support/temp_dir.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace fs = std::filesystem;

namespace {

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
using names = std::vector<std::string>;

}  // namespace

TEST_CASE("glob_matches: stars, question marks, brackets, leading dots", "[unit][sources]") {
    struct row {
        char const *pattern, *name;
        bool matches;
    };
    for (auto const& [pattern, name, matches] : {row{"*", "a", true}, row{"*", "", true}, row{"", "", true}, row{"", "a", false}, row{"a*", "a", true}, row{"*.tar", "x.tar", true},
                                                 row{"*.tar", "x.tar.gz", false}, row{"a*b*c", "aXbYbZc", true}, row{"a*b*c", "aXbYbZ", false}, row{"*ab", "aaab", true}, row{"**", "abc", true},
                                                 row{"?", "a", true}, row{"?", "", false}, row{"??", "a", false}, row{"a?c", "abc", true}, row{"[abc]", "b", true}, row{"[abc]", "d", false},
                                                 row{"[a-c]x", "bx", true}, row{"[a-c]x", "dx", false}, row{"[!a-c]x", "dx", true}, row{"[^a-c]x", "ax", false}, row{"[]]", "]", true}, row{"[!]]", "]", false},
                                                 row{"[]-]", "-", true}, row{"[a-]", "-", true}, row{"[*]", "*", true}, row{"[*]", "a", false}, row{"[", "[", true}, row{"a[b", "a[b", true},
                                                 row{"*", ".hidden", false}, row{"?hidden", ".hidden", false}, row{".*", ".hidden", true}, row{"[\xc3-\xc5]", "\xc4", true}, row{"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}}) {
        INFO(pattern << " against " << name);
        CHECK(ps::detail::glob_matches(pattern, name) == matches);
    }
}

TEST_CASE("has_glob, glob_escapes: a backslash takes the meaning away", "[unit][sources]") {
    for (auto text : {"*", "a?", "[ab]", "x/[!a]*"}) CHECK(ps::detail::has_glob(text));
    for (auto text : {"", "a", "\\*", "\\?\\[a]", "[", "a]b[", "\\"}) {
        INFO(text);
        CHECK_FALSE(ps::detail::has_glob(text));
    }
    CHECK(ps::detail::glob_escapes("a\\*\\?\\[b]\\{\\") == "a[*][?][[]b]\\{");
}

TEST_CASE("glob_files: files of any depth in the order of their bytes, never directories", "[unit][sources]") {
    auto const dir = test::temp_dir{};
    for (auto d : {"a", "b", "b/deep.tar", ".dot"}) fs::create_directory(dir.path(d));
    for (auto f : {"a/2.tar", "a/10.tar", "a/1.txt", "b/1.tar", ".dot/1.tar", "a/.h.tar", "a/[x].tar"}) dir.write(f, "");
    auto const base = dir.path() + "/";
    auto const find = [&](std::string const& pattern) {
        auto found = ps::detail::glob_files(base + pattern, "whole");
        for (auto& f : found) f.erase(0, base.size());
        return found;
    };
    CHECK(find("*/*.tar") == names{"a/10.tar", "a/2.tar", "a/[x].tar", "b/1.tar"});
    CHECK(find("?/[0-9].tar") == names{"a/2.tar", "b/1.tar"});
    CHECK(find("a/*") == names{"a/1.txt", "a/10.tar", "a/2.tar", "a/[x].tar"});
    CHECK(find("*/1.tar") == names{"b/1.tar"});
    CHECK(find("a/[[]x].tar") == names{"a/[x].tar"});
    CHECK(find(".dot/*") == names{".dot/1.tar"});
    for (auto bad : {"*/none", "nowhere/*", "b/deep*", "a/2.tar/*"}) {
        auto const text = refusal([&] { (void)find(bad); });
        INFO(bad);
        CHECK(has(text, "shard_list(\"whole\"): no file matches '" + base + bad + "'"));
        CHECK(has(text, "HINT: look at the directory and the pattern"));
    }
}

TEST_CASE("directory_files: the tar files, or why there is none", "[unit][sources]") {
    auto const dir = test::temp_dir{};
    auto const base = dir.path() + "/";
    CHECK(has(refusal([&] { (void)ps::detail::directory_files(base, "w"); }), "shard_list(\"w\"): the directory " + base + " is empty\n  HINT"));
    dir.write("a.txt", "");
    dir.write(".b.tar", "");
    fs::create_directory(dir.path("c.tar"));
    CHECK(has(refusal([&] { (void)ps::detail::directory_files(dir.path(), "w"); }), "holds 3 entries, but no file that ends in .tar\n  HINT: name the shards by a pattern: " + base + "*.EXT"));
    CHECK(has(refusal([&] { (void)ps::detail::directory_files(base + "no", "w"); }), "cannot list the directory " + base + "no/: No such file"));
    CHECK(has(refusal([&] { (void)ps::detail::directory_files(base + "a.txt", "w"); }), "Not a directory"));
    for (auto f : {"2.tar", "10.tar"}) dir.write(f, "");
    fs::create_symlink(dir.path("2.tar"), dir.path("1.tar"));
    CHECK(ps::detail::directory_files(dir.path(), "w") == names{base + "1.tar", base + "10.tar", base + "2.tar"});
}
