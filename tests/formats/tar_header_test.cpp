// Implements: tests of tar_header: numbers (T3), checksums (T2) and names (T1) of single blocks.
#include <penstock/formats/tar_header.hpp>

#include <support/tar_maker.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using ps::detail::tar_header;
using ps::detail::tar_number;

namespace {
tar_header view(std::string const& block) { return tar_header(std::as_bytes(std::span(block))); }
std::optional<std::uint64_t> number(std::string_view field) { return tar_number(field); }
}  // namespace

TEST_CASE("tar_number: T3, octal and base-256", "[unit][formats]") {
    CHECK(number(std::string_view("00000000017\0", 12)) == 15u);
    CHECK(number("        17 x") == 15u);  // ends at the space
    CHECK(number(std::string_view("77777777777\0", 12)) == 8589934591u);
    CHECK(number("777777777777") == 68719476735u);  // no terminator
    CHECK(number(std::string_view("\0\0\0\0", 4)) == 0u);
    CHECK(number("        ") == 0u);
    for (auto bad : {"00000000018", "0x1", "-1", "1a", "\n1"}) CHECK_FALSE(number(bad));
    CHECK(number(std::string_view("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12)) == 8589934592u);
    CHECK(number(std::string_view("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12)) == 0x7fffffffffffffffu);
    CHECK_FALSE(number(std::string_view("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12)));
    CHECK_FALSE(number(std::string_view("\x80\x01\0\0\0\0\0\0\0\0\0\0", 12)));
    CHECK_FALSE(number(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12)));
    CHECK_FALSE(number(std::string_view("\x81\0\0\0", 4)));
    CHECK(number("777777777777777777777") == 0x7fffffffffffffffu);   // 21 digits: 2^63 - 1
    CHECK_FALSE(number("1000000000000000000000"));                   // 2^63
}

TEST_CASE("tar_header: T2, 4,086 of 4,096 bit flips are rejected, the other ten change nothing", "[unit][formats]") {
    auto const good = test::tar_maker::header("some/name.jpg", 1234);
    REQUIRE(view(good).checksum_holds());
    int rejected = 0;
    for (std::size_t bit = 0; bit < 4096; ++bit) {
        auto block = good;
        block[bit / 8] = static_cast<char>(block[bit / 8] ^ (1 << bit % 8));
        if (!view(block).checksum_holds()) ++rejected;
        else CHECK((bit / 8 >= 148 && bit / 8 < 156));
    }
    CHECK(rejected == 4086);
}

TEST_CASE("tar_header: T2, signed sums of old archives hold", "[unit][formats]") {
    auto block = test::tar_maker::header("\xe4\xf6.jpg", 5);
    auto const stored = *tar_number(std::string_view(block).substr(148, 8));
    test::tar_maker::put(block, 148, test::tar_maker::octal(stored - 512, 6));
    CHECK(view(block).checksum_holds());
    test::tar_maker::put(block, 148, test::tar_maker::octal(stored - 256, 6));
    CHECK_FALSE(view(block).checksum_holds());
}

TEST_CASE("tar_header: names by dialect", "[unit][formats]") {
    auto name = std::string{};
    auto const full = std::string(100, 'n');
    auto block = test::tar_maker::header(full, 5);
    view(block).name(name);
    CHECK(name == full);  // no terminating NUL in the field
    test::tar_maker::put(block, 345, std::string(155, 'p'));
    view(block).name(name);
    CHECK(name == std::string(155, 'p') + "/" + full);
    auto gnu = test::tar_maker::header("x.jpg", 5, '0', std::string_view("ustar  \0", 8));
    test::tar_maker::put(gnu, 345, "12345");  // atime in GNU's layout
    view(gnu).name(name);
    CHECK(name == "x.jpg");
    CHECK(view(test::tar_maker::header("x", 5, '\0', std::string_view("\0\0\0\0\0\0\0\0", 8))).v7());
    CHECK(view(std::string(512, '\0')).zero());
    CHECK_FALSE(view(std::string(511, '\0') + "\1").zero());
}
