#include <penstock/sources/sample_choice.hpp>
#include <penstock/sources/shard_list.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {

std::vector<std::uint64_t> chosen(ps::sample_choice const& choice, std::uint64_t key, std::uint64_t n) {
    auto all = ps::chosen_samples(choice, key, n);
    std::vector<std::uint64_t> out;
    for (std::uint64_t k = 0; k != choice.count(key, n); ++k) out.push_back(all.at(k));
    return out;
}
ps::sample_choice choice(ps::part which, double share) { return {which, static_cast<std::uint64_t>(share * 4294967296.0)}; }

}  // namespace

TEST_CASE("sample_choice: train and val are disjoint, ascending and together everything, for every share and size", "[unit][sources]") {
    ps::random_stream draw(2, 0, 0);
    for (int round = 0; round != 1500; ++round) {
        auto const share = draw.chance(0.3) ? 0.5 : draw.chance(0.3) ? 1e-3 * (1 + draw.below(20)) : (1 + draw.below(999)) / 1000.0;
        auto const key = draw.bits64();
        auto const n = std::uint64_t{draw.below(draw.chance(0.2) ? 20'000 : 200)};
        auto const val = chosen(choice(ps::part::val, share), key, n), train = chosen(choice(ps::part::train, share), key, n);
        REQUIRE(std::is_sorted(val.begin(), val.end()));
        REQUIRE(std::is_sorted(train.begin(), train.end()));
        std::vector<std::uint64_t> all, everything(n);
        std::merge(val.begin(), val.end(), train.begin(), train.end(), std::back_inserter(all));
        std::iota(everything.begin(), everything.end(), 0u);
        REQUIRE(all == everything);
        REQUIRE(std::abs(static_cast<double>(val.size()) - share * static_cast<double>(n)) < 1.0001);
    }
}

TEST_CASE("sample_choice: any sample is found without those before it, and in a shard of 10^12 samples", "[unit][sources]") {
    for (auto const which : {ps::part::train, ps::part::val})
        for (double const share : {0.0001, 0.02, 0.3, 0.9}) {
            auto const c = choice(which, share);
            auto const all = chosen(c, 77, 9000);
            auto one = ps::chosen_samples(c, 77, 9000);
            std::vector<std::uint64_t> backwards(all.size());
            for (auto k = all.size(); k-- != 0;) backwards[k] = one.at(k);
            CHECK(backwards == all);
            auto const huge = std::uint64_t{1'000'000'000'000};
            auto many = ps::chosen_samples(c, 77, huge);
            auto const last = c.count(77, huge) - 1;
            CHECK(many.at(last) < huge);
            CHECK(many.at(last / 2) < many.at(last / 2 + 1));
            CHECK(many.at(0) == all[0]);  // far from the end of the shard nothing depends on its length
        }
}

TEST_CASE("sample_choice: every sample is as likely, neighbours are independent, whatever the share", "[unit][sources]") {
    for (double const share : {0.01, 0.1, 0.5, 0.75}) {
        constexpr std::uint64_t n = 700, shards = 6000;
        std::vector<int> times(n);
        double both = 0, period = 0;
        for (std::uint64_t s = 0; s != shards; ++s) {
            std::vector<char> in(n);
            for (auto i : chosen(choice(ps::part::val, share), ps::sample_choice::key("s" + std::to_string(s)), n)) {
                ++times[i];
                in[i] = 1;
            }
            for (std::uint64_t i = 0; i + 1 < n; ++i) both += in[i] && in[i + 1];
            for (std::uint64_t i = 0; i + 10 < n; ++i) period += in[i] && in[i + 10];
        }
        auto const expected = share * shards, deviation = std::sqrt(expected * (1 - share));
        for (auto t : times) CHECK(std::abs(t - expected) < 5.5 * deviation);
        // of pairs share^2, less what choosing a fixed number takes: of 7 in 700 that is a seventh
        auto const margin = share < 0.05 ? 0.3 : 0.12;
        CHECK(both / (share * share * shards * (n - 1)) == Approx(1).margin(margin));
        CHECK(period / (share * share * shards * (n - 10)) == Approx(1).margin(margin));
    }
}

TEST_CASE("sample_choice: the same on every machine, for ever", "[unit][sources]") {
    auto hash = std::uint64_t{0xCBF29CE484222325};
    for (double const share : {0.05, 0.4})
        for (auto i : chosen(choice(ps::part::val, share), ps::sample_choice::key("data/train-000007.tar"), 5000)) hash = (hash ^ i) * 0x100000001B3;
    CHECK(hash == 0xcd0780c090ec555);
}

TEST_CASE("shard_list: a part keeps its samples when shards come, go, are reordered or move to another folder", "[unit][sources]") {
    using names = std::vector<std::string>;
    // the chosen samples as shard/number
    auto const of = [](std::string const& folder, names const& shards, ps::part which) {
        std::vector<std::string> paths;
        for (auto const& s : shards) paths.push_back(folder + s);
        auto const plan = ps::shard_list(paths, {.samples_per_shard = 100, .part = which, .hold_out = 0.25});
        std::vector<std::string> out;
        for (std::size_t s = 0; s != shards.size(); ++s) {
            auto some = plan.chosen_of(s);
            for (std::uint64_t k = 0; k != plan.chosen(s); ++k) out.push_back(shards[s] + '/' + std::to_string(some.at(k)));
        }
        CHECK(out.size() == plan.samples());
        return out;
    };
    auto const a = of("", {"a", "b", "c"}, ps::part::val);
    CHECK(a.size() > 60);
    CHECK(a.size() < 90);
    auto const more = of("/elsewhere/", {"a", "b", "c", "d", "e"}, ps::part::val);
    CHECK(std::vector<std::string>(more.begin(), more.begin() + static_cast<std::ptrdiff_t>(a.size())) == a);
    auto const turned = of("", {"c", "a"}, ps::part::val);
    for (auto const& one : turned) CHECK(std::find(a.begin(), a.end(), one) != a.end());
    CHECK(of("", {"a", "b", "c"}, ps::part::train).size() == 300 - a.size());
}

TEST_CASE("shard_list: small shards give their share on average", "[unit][sources]") {
    auto const plan = ps::shard_list("s{00000..19999}", {.samples_per_shard = 3, .part = ps::part::val, .hold_out = 0.1});
    CHECK(std::abs(static_cast<double>(plan.samples()) - 6000) < 400);
}

TEST_CASE("shard_list: part and hold_out that make no sense are refused", "[unit][sources]") {
    auto const refusal = [](ps::shard_list_options const& o) {
        try {
            (void)ps::shard_list("s{0..3}", o);
        } catch (ps::config_error const& e) {
            return std::string(e.what());
        }
        return std::string{};
    };
    for (double const share : {0.0, 1.0, -0.1, 1.5, 1e-12, std::nan("")}) {
        auto const text = refusal({.part = ps::part::val, .hold_out = share});
        CHECK(text.find(ps::message("shard_list(\"s{0..3}\"): hold_out must be > 0 and < 1, got ", share)) != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
    CHECK(refusal({.hold_out = 0.1}).find("hold_out is 0.1, and part is all\n  HINT") != std::string::npos);
    CHECK(refusal({.part = ps::part::train, .hold_out = 0.1}).empty());
}
