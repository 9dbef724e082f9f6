// Implements: examiner, the checks of the battery; battery.hpp says how stages and sources register, examiner.cpp holds the checks.
#pragma once

#include <support/subject.hpp>  // defines: subject, shown, number, source_spec

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock::test {

struct failure {
    int check;
    std::string text;
};

using lines = std::vector<std::string>;

/// What a stage or source is allowed to do, and how often it is tried.
struct allowances {
    bool permutes = false;  ///< items leave in another order
    bool drops = false;     ///< not every item is delivered
    bool resumes = true;    ///< can be saved
    int rounds = 3;         ///< of early destruction
    std::vector<int> sizes{0, 1, 2, 7, 64};
};

using subject_ptr = std::unique_ptr<subject>;
using builder = std::function<subject_ptr(source_spec const&)>;
/// The items of the chain over the source of the spec, as text.
using model_of = std::function<lines(source_spec const&, epoch)>;

namespace detail {

constexpr std::uint64_t seed = 5;

std::string joined(lines const& all);
lines from(lines const& all, std::size_t k);
lines sorted(lines all);
bool is_error(std::string const& event);
std::size_t threads();
/// Slots of the spec's rank as numbers of the epoch, with or without those that throw.
std::vector<int> numbers(source_spec const& s, std::uint64_t epoch_index, bool without_errors);

/// Runs checks on the chains that `build` makes, and notes what it finds.
class examiner {
public:
    examiner(allowances may, std::vector<failure>& out, builder build, model_of model) : may_(std::move(may)), out_(out), build_(std::move(build)), model_(std::move(model)) {}

    /// 1: building over a source that must not be pulled.
    void is_lazy();
    /// 2 to 6, 8, 10 to 12, 14: what stages and sources share.
    void shared_checks();
    /// 4 and 7 over sources that throw.
    void error_checks();
    /// 13 over the ranks of several worlds, and the part of 6 that concerns world_max; `build` makes planned, keyed chains.
    void world_checks(builder const& build);
    /// 15: a chain and the same one behind any() state the same facts and stand for the same positions.
    void any_says_the_same(builder const& plain, builder const& erased_twice);
    /// The items of `build` for every size are those of the model, in check number `check`.
    void equals_model(int check, builder const& build, std::string const& what, bool rewound);
    /// 12: the same with 1, 2 and 8 workers.
    void workers(std::function<subject_ptr(source_spec const&, int)> const& build);
    /// 7 for a source with an unreadable item.
    void is_broken_alike(std::function<subject_ptr(int)> const& broken);

    void guarded(int check, int n, std::function<void()> const& f);
    void fail(int check, std::string text) { out_.push_back({check, std::move(text)}); }
    void same(int check, lines const& got, lines const& wanted, std::string const& what);
    static lines events(subject& p, std::size_t limit = 10000);
    subject_ptr fresh(source_spec const& spec, std::uint64_t epoch_index) const;
    static source_spec spec(int n, std::vector<int> errors = {}) { return {.n = n, .errors = std::move(errors)}; }

private:
    void follows_the_model(int n);
    void is_fused(int n);
    void resumes_everywhere(int n, std::vector<int> const& errors);
    void saves_without_trace(int n);
    void keeps_its_state_small();
    void hints_the_truth(int n);
    void dies_early(int n);
    void moves(int n);
    void is_a_range(int n);
    void is_deterministic(int n);
    void refuses_other_states();
    void one_world(builder const& build, int n, std::uint32_t size);

    allowances may_;
    std::vector<failure>& out_;
    builder build_;
    model_of model_;
};

void report(std::string const& name, std::vector<failure> const& all);

}  // namespace detail

}  // namespace penstock::test
