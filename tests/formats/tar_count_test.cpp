// Implements: tests of count_samples: by headers alone, W10 (a key that comes back).
#include <penstock/formats/tar_count.hpp>

#include <support/faulty_source.hpp>
#include <support/tar_maker.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string shard(int samples, std::size_t size = 10) {
    auto maker = test::tar_maker{};
    for (int i = 0; i < samples; ++i) maker.add(std::to_string(i) + ".cls", "7").add(std::to_string(i) + ".bin", std::string(size, 'b'));
    return maker.end().bytes;
}
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::stage_error const& e) {
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("count_samples: by headers alone", "[unit][formats]") {
    auto source = test::faulty_source(shard(200, 4000));
    CHECK(ps::count_samples(source) == 200);
    CHECK(source.bytes_read < 450 * 512);
    auto none = test::faulty_source(std::string(1024, '\0'));
    CHECK(ps::count_samples(none) == 0);
    auto faulty = test::faulty_source(test::tar_maker{}.add("a.x", "1").add("a.x", "2").add("b.x", "3").end().bytes);
    CHECK(ps::count_samples(faulty) == 2);  // the faulty sample takes its place when it is read
}

TEST_CASE("count_samples: W10, a key that comes back is refused", "[unit][formats]") {
    auto source = test::faulty_source(test::tar_maker{}.add("a.x", "1").add("b.x", "2").add("c.x", "2").add("a.y", "3").end().bytes, "mem.tar");
    auto const text = error_of([&] { ps::count_samples(source); });
    CHECK(text.find("mem.tar, sample 'a', byte 3072: returning_key: files of this sample lie apart, the first at byte 0") != std::string::npos);
    CHECK(text.find("HINT: files of one sample must follow each other") != std::string::npos);
    auto unsorted = test::faulty_source(test::tar_maker{}.add("b.x", "1").add("a.x", "2").add("c.x", "2").end().bytes);
    CHECK(ps::count_samples(unsorted) == 3);
    auto late = test::faulty_source(test::tar_maker{}.add("c.x", "1").add("a.x", "2").add("b.x", "2").add("c.y", "3").end().bytes);
    CHECK(error_of([&] { ps::count_samples(late); }).find("sample 'c', byte 3072: returning_key") != std::string::npos);
}
