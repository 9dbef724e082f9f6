#include <penstock/core/positioned.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <support/sources.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
using penstock::test::error_of;

namespace {
enum class sign : std::int8_t { minus = -1, plus = 1 };

/// Adds up with numbers of many types, each a field or an argument.
template <class S>
class sums_stage : public ps::positioned<sums_stage<S>, S> {
public:
    static constexpr auto name = "sums";
    using item_type = double;
    sums_stage(S before, double factor, float step, sign s) : sums_stage::positioned(std::move(before)), factor_(factor), step_(step), sign_(s) {}

    std::optional<double> next() {
        auto const item = this->up.next();
        if (!item) return std::nullopt;
        ++seen_;
        low_ = static_cast<std::int16_t>(low_ - *item);
        odd_ = *item % 2 != 0;
        part_ += step_;
        return sum_ += factor_ * *item * static_cast<int>(sign_) + static_cast<double>(part_) + low_ + odd_;
    }
    void restart() {
        sum_ = part_ = 0;
        low_ = seen_ = 0;
        odd_ = false;
    }
    static void position(auto& self, auto& p) {
        p.same("factor", self.factor_);
        p.same("step", self.step_);
        p.same("sign", self.sign_);
        p("sum", self.sum_);
        p("part", self.part_);
        p("low", self.low_);
        p("odd", self.odd_);
        p("seen", self.seen_);
    }

private:
    double factor_, sum_ = 0;
    float step_, part_ = 0;
    sign sign_;
    std::int16_t low_ = 0;
    bool odd_ = false;
    std::uint8_t seen_ = 0;
};
auto chain(double factor, float step, sign s) { return ps::from_vector<int>({3, 1, 4, 1, 5}) | ps::stage_of<sums_stage>("sums", factor, step, s); }
std::string with(std::string text, std::string const& from, std::string const& to) { return text.replace(text.find(from), from.size(), to); }
}  // namespace

TEST_CASE("positioned: numbers of every type come back, arguments too", "[unit][positioned]") {
    auto p = chain(0.5, -0.25f, sign::minus);
    (void)p.next();
    (void)p.next();
    auto q = chain(0.5, -0.25f, sign::minus);
    q.load(ps::state::parse(p.save().text()));
    CHECK((std::move(p) | ps::collect()) == (std::move(q) | ps::collect()));
}

TEST_CASE("positioned: another argument is refused, with both values", "[unit][positioned]") {
    auto const saved = chain(0.5, -0.25f, sign::minus).save();
    auto const refusal = [&](double factor, float step, sign s) {
        auto q = chain(factor, step, s);
        return error_of<ps::state_error>([&] { return q.load(saved), 0; });
    };
    CHECK(refusal(0.75, -0.25f, sign::minus) == "load: sums was saved with factor 0.5, this one has 0.75\n  HINT: build it with the arguments that were saved");
    CHECK(refusal(0.5, 0.25f, sign::minus).starts_with("load: sums was saved with step -0.25, this one has 0.25\n"));
    CHECK(refusal(0.5, -0.25f, sign::plus).starts_with("load: sums was saved with sign -1, this one has 1\n"));
}

TEST_CASE("positioned: a number that its field cannot hold is refused", "[unit][positioned]") {
    auto p = chain(1, 0, sign::plus);
    (void)p.next();
    auto const text = p.save().text();
    for (auto const& [from, to] : {std::pair{"seen=1", "seen=257"}, std::pair{"odd=1", "odd=2"}, std::pair{"low=18446744073709551613", "low=65533"}}) {
        auto q = chain(1, 0, sign::plus);
        auto const damaged = ps::state::parse(with(text, from, to));
        CHECK(error_of<ps::state_error>([&] { return q.load(damaged), 0; }).ends_with(" is more than its field holds\n  HINT: the state is damaged; use an older checkpoint"));
    }
}
