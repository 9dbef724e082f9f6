// Implements: tests of tar_name: the table of rules W2 to W6.
#include <penstock/formats/tar_name.hpp>

#include <support/catch.hpp>

using penstock::detail::tar_name;

namespace {
void is_field(std::string_view name, std::string_view key, std::string_view extension) {
    INFO(name);
    auto const n = tar_name::of(name);
    CHECK(n.kind == tar_name::use::field);
    CHECK(n.key == key);
    CHECK(penstock::detail::ascii_lower(n.extension) == extension);
}
void is(tar_name::use kind, std::string_view name) {
    INFO(name);
    CHECK(tar_name::of(name).kind == kind);
}
}  // namespace

TEST_CASE("tar_name: W2, key and extension", "[unit][formats]") {
    is_field("a/b/0001.jpg", "a/b/0001", "jpg");
    is_field("0001.seg.png", "0001", "seg.png");
    is_field("1.5.jpg", "1", "5.jpg");
    is_field("dir.v1/0001.jpg", "dir.v1/0001", "jpg");
    is_field("a.b/c.d.txt", "a.b/c", "d.txt");
    is_field("/abs/x.JPG", "/abs/x", "jpg");
    is_field("./x.jpg", "./x", "jpg");
    is_field("x.", "x", "");
    is_field("x..jpg", "x", ".jpg");
    is_field("\xc3\x84.\xc3\x84X", "\xc3\x84", "\xc3\x84x");  // W6: only ASCII changes its case
    for (auto name : {"noext", "a/b.c/d", "a/", "", "a.b/"}) is(tar_name::use::no_match, name);
}

TEST_CASE("tar_name: W3, W4, meta and hidden names", "[unit][formats]") {
    for (auto name : {"__a__", "__dir__/x.jpg", "__a__.b__", "__x__/y/z.txt"}) is(tar_name::use::meta, name);
    is_field("__m__.json", "__m__", "json");
    is_field("__a__x.jpg", "__a__x", "jpg");
    is_field("__dir/x.jpg", "__dir/x", "jpg");
    is(tar_name::use::no_match, "p/__a__");
    for (auto name : {".hidden", "a/.b.jpg", "..jpg", "./.x.jpg", ".", ".DS_Storex"}) is(tar_name::use::hidden, name);
    for (auto name : {"._x.jpg", "a/._x.jpg", ".DS_Store", "a/.DS_Store"}) is(tar_name::use::companion, name);
}
