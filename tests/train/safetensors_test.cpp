#include <penstock/train/read_safetensors.hpp>
#include <penstock/train/write_safetensors.hpp>

#include "files.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace train = penstock::train;
using test::error_of;
using test::has;

namespace {

std::string framed(std::string const& json, std::string const& data) {
    std::uint64_t const n = json.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &n, 8);
    return out + json + data;
}

std::string bytes_of_hex(std::string const& hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return out;
}

at::Tensor find(train::named_tensors const& all, std::string const& name) {
    for (auto const& [n, t] : all)
        if (n == name) return t;
    return {};
}

}  // namespace

TEST_CASE("safetensors: a file of known bytes", "[unit][safetensors]") {
    // u64 length 64 | {"b":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}} padded with spaces | 1, -2 as little-endian int16
    auto const vector = bytes_of_hex(
        "3800000000000000"
        "7b2262223a7b226474797065223a22493136222c227368617065223a5b325d2c22646174615f6f666673657473223a5b302c345d7d7d2020"
        "0100feff");
    test::scratch dir;
    auto const mark = train::write_safetensors(dir / "f", {{"b", at::tensor({1, -2}, at::kShort)}});
    CHECK(test::slurp(dir / "f") == vector);
    CHECK(mark.bytes == vector.size());
    CHECK(mark.checksum == train::crc32c(vector.data(), vector.size()));

    test::spill(dir / "g", vector);
    auto const back = train::read_safetensors(dir / "g");
    REQUIRE(back.tensors.size() == 1);
    CHECK(at::equal(back.tensors[0].second, at::tensor({1, -2}, at::kShort)));
    CHECK(back.checksum == mark.checksum);
}

TEST_CASE("safetensors: every type, scalars, empty and strided tensors come back", "[unit][safetensors]") {
    test::scratch dir;
    train::named_tensors in;
    for (auto const type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar, at::kByte})
        in.emplace_back(std::string("t.") + at::toString(type), (at::arange(6) + 1).reshape({2, 3}).to(type));
    in.emplace_back("bool", at::tensor({1, 0, 1}).to(at::kBool));
    in.emplace_back("scalar", at::scalar_tensor(3.5));
    in.emplace_back("empty", at::zeros({0, 4}));
    in.emplace_back("transposed", at::arange(6).reshape({2, 3}).t());
    in.emplace_back("channels_last", at::rand({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast));
    in.emplace_back("name with \"quotes\" and \xc3\xbc", at::ones({1}));
    train::string_map const meta{{"format", "pt"}, {"state", "line 1\nline 2"}};
    train::write_safetensors(dir / "f", in, meta);
    auto const out = train::read_safetensors(dir / "f");
    CHECK(out.metadata == meta);
    CHECK(out.tensors.size() == in.size());
    for (auto const& [name, t] : in) {
        INFO(name);
        auto const back = find(out.tensors, name);
        REQUIRE(back.defined());
        CHECK(back.scalar_type() == t.scalar_type());
        CHECK(at::equal(back, t));
    }
    std::uint64_t n = 0;
    auto const bytes = test::slurp(dir / "f");
    std::memcpy(&n, bytes.data(), 8);
    CHECK(n % 8 == 0);  // wide data stays aligned for mapping
}

TEST_CASE("safetensors: no tensors at all", "[unit][safetensors]") {
    test::scratch dir;
    train::write_safetensors(dir / "f", {}, {{"k", "v"}});
    auto const out = train::read_safetensors(dir / "f");
    CHECK(out.tensors.empty());
    CHECK(out.metadata.at("k") == "v");
}

TEST_CASE("safetensors: two names of one tensor are stored once", "[unit][safetensors]") {
    test::scratch dir;
    auto const t = at::rand({100});
    train::write_safetensors(dir / "f", {{"a", t}, {"b", t}, {"c", t.view({100})}});
    CHECK(test::fs::file_size(dir / "f") < 700);
    auto const out = train::read_safetensors(dir / "f");
    CHECK(out.tensors.size() == 3);
    CHECK(find(out.tensors, "a").is_same(find(out.tensors, "b")));
    CHECK(at::equal(find(out.tensors, "c"), t));
    CHECK(out.metadata.empty());
}

TEST_CASE("safetensors: what cannot be written is refused before a file exists", "[unit][safetensors]") {
    test::scratch dir;
    auto refusal = [&](train::named_tensors const& t, train::string_map const& m = {}) {
        return error_of<penstock::config_error>([&] { train::write_safetensors(dir / "f", t, m); });
    };
    CHECK(has(refusal({{"a", at::ones(1)}, {"a", at::ones(2)}}), "'a'"));
    CHECK(has(refusal({{"__metadata__", at::ones(1)}}), "__metadata__"));
    CHECK(has(refusal({{"s", at::ones({2, 2}).to_sparse()}}), "sparse"));
    CHECK(has(refusal({{"u", at::Tensor{}}}), "undefined"));
    CHECK(has(refusal({{"c", at::ones(1, at::kComplexDouble)}}), "ComplexDouble"));
    CHECK(has(refusal({{"bad \xff", at::ones(1)}}), "UTF-8"));
    CHECK(has(refusal({}, {{"alias:x", "y"}}), "alias"));
    CHECK(test::entries(dir.path()) == 0);
}

TEST_CASE("safetensors: an existing file is replaced, not rewritten", "[unit][safetensors]") {
    test::scratch dir;
    train::write_safetensors(dir / "f", {{"a", at::ones(1000)}});
    test::fs::create_hard_link(dir / "f", dir / "old");
    train::write_safetensors(dir / "f", {{"a", at::zeros(1000)}});
    CHECK(find(train::read_safetensors(dir / "old").tensors, "a").sum().item<double>() == 1000);
    CHECK(find(train::read_safetensors(dir / "f").tensors, "a").sum().item<double>() == 0);
}

TEST_CASE("safetensors: each rule of the format refuses", "[unit][safetensors]") {
    test::scratch dir;
    auto refusal = [&](std::string const& bytes) {
        test::spill(dir / "bad", bytes);
        return error_of<penstock::state_error>([&] { train::read_safetensors(dir / "bad"); });
    };
    auto one = [](std::string const& body) { return "{\"x\":" + body + "}"; };
    std::string const four(4, '\0');
    struct rule {
        char const* about;
        std::string bytes;
        char const* says;
    };
    std::vector<rule> const rules{
        {"nothing", "", "8 bytes of header length"},
        {"too short", "abc", "got a file of 3 bytes"},
        {"header beyond the file", framed("{}", "").substr(0, 9), "fit into the file"},
        {"length that overflows", std::string(8, '\xff') + "{}", "fit into the file"},
        {"not an object", framed("[]", ""), "start with '{'"},
        {"leading space", framed(" {}", ""), "start with '{'"},
        {"cut JSON", framed("{\"x\":", ""), "JSON"},
        {"bad UTF-8", framed("{\"\xff\":1}", ""), "JSON in UTF-8"},
        {"garbage after", framed("{} x", ""), "JSON"},
        {"repeated name", framed(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", ""), "tensor 'x': names must be unique"},
        {"repeated key", framed(one(R"({"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]})"), ""), "unique"},
        {"deep nesting", framed("{\"x\":" + std::string(100'000, '[') + "1", ""), "nested"},
        {"not an entry", framed(one("7"), ""), "dtype, shape and data_offsets"},
        {"no shape", framed(one(R"({"dtype":"U8","data_offsets":[0,0]})"), ""), "dtype, shape and data_offsets"},
        {"dtype no string", framed(one(R"({"dtype":8,"shape":[4],"data_offsets":[0,4]})"), four), "dtype must be a string"},
        {"unknown dtype", framed(one(R"({"dtype":"F4","shape":[8],"data_offsets":[0,4]})"), four), "got \"F4\""},
        {"shape no list", framed(one(R"({"dtype":"U8","shape":4,"data_offsets":[0,4]})"), four), "shape must be"},
        {"negative size", framed(one(R"({"dtype":"U8","shape":[-4],"data_offsets":[0,4]})"), four), "got [-4]"},
        {"fractional size", framed(one(R"({"dtype":"U8","shape":[4.0],"data_offsets":[0,4]})"), four), "shape must be"},
        {"offsets not two", framed(one(R"({"dtype":"U8","shape":[4],"data_offsets":[0]})"), four), "[begin, end]"},
        {"offsets backwards", framed(one(R"({"dtype":"U8","shape":[4],"data_offsets":[4,0]})"), four), "must span"},
        {"span and shape differ", framed(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), four), "the 8 bytes of F32[2]"},
        {"size overflows", framed(one(R"({"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), ""), "63 bits"},
        {"overflow behind a zero", framed(one(R"({"dtype":"F64","shape":[0,4294967296,4294967296],"data_offsets":[0,0]})"), ""), "63 bits"},
        {"hole at the start", framed(one(R"({"dtype":"U8","shape":[2],"data_offsets":[2,4]})"), four), "must begin at 0, got 2"},
        {"hole", framed(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", four), "tensor 'y'"},
        {"overlap", framed(R"({"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", four), "overlap"},
        {"data too short", framed(one(R"({"dtype":"U8","shape":[5],"data_offsets":[0,5]})"), four), "5 bytes expected after the header, got 4"},
        {"data left over", framed(one(R"({"dtype":"U8","shape":[3],"data_offsets":[0,3]})"), four), "must fill the file"},
        {"metadata no object", framed(R"({"__metadata__":3})", ""), "map strings to strings"},
        {"metadata no string", framed(R"({"__metadata__":{"k":3}})", ""), "map strings to strings"},
        {"alias of nothing", framed(R"({"__metadata__":{"alias:b":"a"}})", ""), "alias"},
        {"bool of 7", framed(one(R"({"dtype":"BOOL","shape":[1],"data_offsets":[0,1]})"), "\x07"), "0 or 1"},
    };
    for (auto const& r : rules) {
        auto const text = refusal(r.bytes);
        INFO(r.about << ": " << text);
        CHECK(has(text, r.says));
        CHECK(has(text, (dir / "bad").string()));
        CHECK(has(text, "HINT"));
    }
    CHECK(has(error_of<penstock::state_error>([&] { train::read_safetensors(dir / "missing"); }), "No such file"));
    CHECK(has(error_of<penstock::state_error>([&] { train::read_safetensors(dir.path()); }), "regular file"));
}

TEST_CASE("safetensors: a file cut anywhere is refused", "[unit][safetensors]") {
    test::scratch dir;
    train::write_safetensors(dir / "f", {{"a", at::rand({7})}, {"b", at::ones({3}, at::kBFloat16)}}, {{"k", "v"}});
    auto const whole = test::slurp(dir / "f");
    std::size_t refused = 0;
    for (std::size_t n = 0; n < whole.size(); ++n) {
        test::spill(dir / "cut", whole.substr(0, n));
        try {
            train::read_safetensors(dir / "cut");
        } catch (penstock::state_error const&) { ++refused; }
    }
    CHECK(refused == whole.size());
}

TEST_CASE("safetensors: zero-sized tensors anywhere among others", "[unit][safetensors]") {
    test::scratch dir;
    test::spill(dir / "f", framed(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"F32","shape":[0,9],"data_offsets":[2,2]},"y":{"dtype":"U8","shape":[],"data_offsets":[2,3]}}   )", "\x01\x02\x03"));
    auto const out = train::read_safetensors(dir / "f");
    CHECK(find(out.tensors, "y").item<int>() == 3);
    CHECK(find(out.tensors, "z").sizes() == at::IntArrayRef({0, 9}));
}
