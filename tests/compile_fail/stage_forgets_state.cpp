// expect: this stage inherits save() but does not say that it keeps no position. HINT: derive it from positioned<Self, S> and say its position, or write `using stateless = void;`
#include <penstock/core/stage.hpp>

#include <optional>

namespace ps = penstock;

struct numbers {
    using item_type = int;
    int at = 0;
    std::optional<int> next() { return at++; }
    void save(ps::state_writer& w) const { w.stage("numbers", 1).put("at", static_cast<std::uint64_t>(at)); }
    void load(ps::state_reader& r) { at = static_cast<int>(r.stage("numbers", 1).get("at")); }
};

template <class S>
struct every_second : ps::stage_over<S> {
    using item_type = typename S::item_type;
#ifdef PENSTOCK_REPAIRED
    using stateless = void;
#endif
    explicit every_second(S input) : ps::stage_over<S>(std::move(input)) {}
    std::optional<item_type> next() {
        (void)this->up.next();
        return this->up.next();
    }
};

int main() { (void)(ps::pipeline<numbers>(numbers{}) | ps::stage_of<every_second>("every_second")); }
