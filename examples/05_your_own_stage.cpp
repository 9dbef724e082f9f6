// 05: a stage of your own is a class template with next(), and is as good as the built-in ones.
//
//   from_vector(times) ----> gaps() --------> take, batch, shuffle, ... any stage
//   100 103 103 110          100 3 0 7        (the first gap is counted from zero)
//
#include <penstock/penstock.hpp>

#include <iostream>

namespace ps = penstock;

// The differences between neighbours. S is the chain before it, which `positioned` holds as `up`. It forwards what this stage does not change: how many
// items are left, the most that any rank gets, a stop; and makes reset, save and load of what the stage says of its position.
template <class S>
class gaps_stage : public ps::positioned<gaps_stage<S>, S> {
public:
    static constexpr auto name = "gaps";
    using item_type = std::int64_t;
    explicit gaps_stage(S before) : gaps_stage::positioned(std::move(before)) {}

    // An item, or nothing at the end. One call pulls what it needs and no more.
    std::optional<std::int64_t> next() {
        auto const time = this->up.next();
        if (!time) return std::nullopt;
        return *time - std::exchange(last_, *time);
    }

    // A new epoch: forget what was left of the old one.
    void restart() { last_ = 0; }
    // What it takes to go on from here in another process.
    static void position(auto& self, auto& p) { p("last", self.last_); }

private:
    std::int64_t last_ = 0;
};

// The function that users write. Arguments of the constructor would follow the name: stage_of<gaps_stage>("gaps", first).
auto gaps() { return ps::stage_of<gaps_stage>("gaps"); }

int main() {
    auto make = [] { return ps::from_vector<std::int64_t>({100, 103, 103, 110, 150, 151}) | gaps() | ps::batch(2); };

    auto print = [](auto& p, char const* what) {
        std::cout << what;
        for (auto const& b : p) {
            std::cout << " [";
            for (auto gap : b.items) std::cout << ' ' << gap;
            std::cout << " ]";
        }
        std::cout << '\n';
    };
    auto gaps_in_pairs = make();
    std::cout << "batches to come: " << gaps_in_pairs.hint().lower << '\n';  // forwarded by positioned, divided by batch
    print(gaps_in_pairs, "all:");

    // Save anywhere, load into a chain built the same way, perhaps tomorrow on another machine: it goes on with the same items.
    auto today = make();
    today.reset(0, 1);
    (void)today.next();
    auto const text = today.save().text();
    auto tomorrow = make();
    tomorrow.load(ps::state::parse(text));
    print(tomorrow, "the rest:");

    // A state of another chain is refused, with the first difference.
    try {
        auto other = ps::from_vector<std::int64_t>({100, 103, 103, 110, 150, 151}) | ps::batch(2);
        other.load(ps::state::parse(text));
    } catch (ps::state_error const& e) {
        std::cout << e.what() << '\n';
    }
}

// Output:
//   batches to come: 3
//   all: [ 100 3 ] [ 0 7 ] [ 40 1 ]
//   the rest: [ 0 7 ] [ 40 1 ]
//   load: the saved state has gaps#0 where the chain has batch.replay
//     HINT: build the same chain, in the same order, as the one that was saved
