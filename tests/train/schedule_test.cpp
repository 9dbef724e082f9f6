#include <penstock/train/schedule.hpp>

#include <support/catch.hpp>

namespace train = penstock::train;

TEST_CASE("schedule: known points", "[unit][schedule]") {
    // example-begin schedule
    train::schedule s = train::warmup(100) * train::cosine(10'000, 0.1);
    // example-end schedule
    CHECK(s(0) == Approx(0.01).epsilon(1e-6));
    CHECK(s(99) == Approx(1.0).epsilon(1e-3));
    CHECK(s(10'000) == Approx(0.1));
    CHECK(s(1e9) == Approx(0.1));
    CHECK(train::cosine(100)(50) == Approx(0.5));
    CHECK(train::cosine(100)(25) == Approx(0.5 * (1 + std::sqrt(0.5))));
    CHECK(train::linear(100, 0.2)(50) == Approx(0.6));
    CHECK(train::linear(100, 0.2)(100) == Approx(0.2));
    CHECK(train::constant(0.3)(7) == 0.3);
    CHECK(train::schedule{}(123) == 1.0);
    CHECK(train::warmup(4)(0) == 0.25);
    CHECK(train::warmup(4)(3) == 1.0);
    CHECK(train::warmup(0)(0) == 1.0);
}

TEST_CASE("schedule: wsd is flat, then decays by the root", "[unit][schedule]") {
    auto s = train::wsd(1000, 10, 200, 0.1);
    CHECK(s(0) == Approx(0.1));
    CHECK(s(9) == 1.0);
    CHECK(s(799) == 1.0);
    CHECK(s(850) == Approx(1 - 0.9 * 0.5));
    CHECK(s(1000) == Approx(0.1));
    CHECK(s(2000) == Approx(0.1));
}

TEST_CASE("schedule: parts compose", "[unit][schedule]") {
    auto s = train::then(10, train::constant(0.5), train::linear(10));
    CHECK(s(9) == 0.5);
    CHECK(s(10) == 1.0);
    CHECK(s(15) == Approx(0.5));
    train::schedule own = [](double t) { return t < 3 ? 0.0 : 2.0; };
    CHECK((own * own)(4) == 4.0);
}

TEST_CASE("schedule: bad arguments are named", "[unit][schedule]") {
    auto text = [](auto f) {
        try {
            (void)f();
        } catch (penstock::config_error const& e) { return std::string(e.what()); }
        return std::string("nothing thrown");
    };
    CHECK(text([] { return train::warmup(-1); }).find("got -1") != std::string::npos);
    CHECK(text([] { return train::cosine(10, -0.5); }).find("got -0.5") != std::string::npos);
    CHECK(text([] { return train::wsd(10, 8, 8); }).find("HINT") != std::string::npos);
    CHECK(text([] { return train::constant(std::nan("")); }).find("nan") != std::string::npos);
}
