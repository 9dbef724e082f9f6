// expect: on_error(f): f must take a stage_error const& and return an action, or nothing. HINT: return action::skip or action::raise, or let it count: on_error(skips{.total = n})
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/on_error.hpp>

namespace ps = penstock;

int main() {
#ifdef PENSTOCK_REPAIRED
    auto decide = [](ps::stage_error const&) { return ps::action::skip; };
#else
    auto decide = [](ps::stage_error const&) { return true; };
#endif
    (void)(ps::from_vector({1, 2}) | ps::on_error(decide));
}
