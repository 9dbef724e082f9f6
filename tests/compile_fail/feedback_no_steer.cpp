// expect: feedback(control, f): no stage of the pipeline reads a control. HINT: put steer(control, g) into the chain
// rooms: train
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/train/feedback.hpp>

#include <optional>

namespace ps = penstock;

int main() {
    auto part = ps::train::feedback(ps::control<int>("level", 0), [](int) { return std::optional(1); });
    auto p = ps::range(3) | ps::batch(2);
    part.adopt(p, 1);
}
