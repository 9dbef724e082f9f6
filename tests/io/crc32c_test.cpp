#include <penstock/io/crc32c.hpp>

#include <numeric>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace io = penstock::io;

TEST_CASE("crc32c: published values", "[unit][io]") {  // RFC 3720, appendix B.4
    CHECK(io::crc32c("123456789", 9) == 0xe3069283u);
    std::vector<unsigned char> v(32, 0);
    CHECK(io::crc32c(v.data(), 32) == 0x8a9136aau);
    v.assign(32, 0xff);
    CHECK(io::crc32c(v.data(), 32) == 0x62a8ab43u);
    std::iota(v.begin(), v.end(), static_cast<unsigned char>(0));
    CHECK(io::crc32c(v.data(), 32) == 0x46dd794eu);
    CHECK(io::crc32c(nullptr, 0) == 0);
}

TEST_CASE("crc32c: both forms agree, in pieces of any length", "[unit][io]") {
    std::vector<unsigned char> v(1000);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<unsigned char>(i * 31 + i / 7);
    auto const whole = io::crc32c(v.data(), v.size());
    CHECK(whole == ~io::detail::crc32c_portable(~0u, v.data(), v.size()));
    bool same = true;
    for (std::size_t cut = 0; cut <= 40; ++cut) same = same && io::crc32c(v.data() + cut, v.size() - cut, io::crc32c(v.data(), cut)) == whole;
    CHECK(same);
}
