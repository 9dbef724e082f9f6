#include <penstock/dist/agreement.hpp>

#include <support/rank_threads.hpp>

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;
using penstock::test::on_ranks;

namespace {

/// What the ranks got or threw.
struct answers {
    std::vector<std::optional<dist::claims>> got;
    std::vector<std::string> errors;
};

answers ask(std::vector<std::optional<dist::claims>> const& lists) {
    answers out;
    out.got.resize(lists.size());
    out.errors = on_ranks(static_cast<int>(lists.size()), [&](dist::context& ctx) {
        auto const r = static_cast<std::size_t>(ctx.rank());
        out.got[r] = dist::agree(ctx, lists[r], "fit", "look");
    });
    return out;
}

/// The sentence that all ranks throw, "" for none.
std::string refusal(std::vector<std::optional<dist::claims>> const& lists) {
    auto const errors = ask(lists).errors;
    CHECK(std::set<std::string>(errors.begin(), errors.end()).size() == 1);
    return errors.front();
}

}  // namespace

TEST_CASE("agree: ranks that were given the same go on, and those that know nothing are told", "[unit][dist]") {
    dist::claims const list{{"seed", "7"}, {"folder", ""}};
    CHECK(ask({list}).got.front() == list);
    for (auto const& lists : {std::vector<std::optional<dist::claims>>{list, list, list}, {std::nullopt, list, std::nullopt}, {list, std::nullopt}, {dist::claims{}, std::nullopt}}) {
        auto const out = ask(lists);
        CHECK(out.errors == penstock::test::nothing(static_cast<int>(lists.size())));
        for (auto const& got : out.got) CHECK(got == (lists.front() ? lists.front() : lists[1]));
    }
    auto const nobody = ask({std::nullopt, std::nullopt});
    CHECK(nobody.errors == penstock::test::nothing(2));
    CHECK_FALSE(nobody.got.front().has_value());
}

TEST_CASE("agree: the first name that differs is told with its values and ranks, the value of most ranks first", "[unit][dist]") {
    auto const list = [](std::string const& seed, std::string const& rate) { return dist::claims{{"seed", seed}, {"rate", rate}}; };
    CHECK(refusal({list("7", "1"), list("7", "2")}) == "fit: all ranks must have the same rate, got '1' on rank 0, '2' on rank 1\n  HINT: look");
    CHECK(refusal({list("8", "1"), list("7", "2"), list("7", "3"), std::nullopt}) == "fit: all ranks must have the same seed, got '7' on ranks 1, 2, '8' on rank 0\n  HINT: look");
    CHECK(refusal({list("7", "1"), dist::claims{{"seed", "7"}}}) == "fit: all ranks must have the same rate, got '1' on rank 0, nothing on rank 1\n  HINT: look");
    CHECK(refusal({dist::claims{}, list("7", "1")}).starts_with("fit: all ranks must have the same seed, got nothing on rank 0, '7' on rank 1"));
    CHECK(refusal({list("7", "1"), dist::claims{{"rate", "1"}, {"seed", "7"}}}).find("in the same order") != std::string::npos);
    CHECK(refusal({list("1", ""), list("2", ""), list("3", ""), list("4", ""), list("5", "")}).find("'4' on rank 3, and 1 other value\n") != std::string::npos);
}
