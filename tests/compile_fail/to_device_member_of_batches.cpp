// expect: to_device: the item has a member named ids, pass, cover, weights, source, size, empty or weight, and so has every batch.
// rooms: tensor
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/tensor/to_device.hpp>

template <class Row, class Part>
struct example {
    Row row;
#ifndef PENSTOCK_REPAIRED
    Part source;
#else
    Part part;
#endif
};
int main() {
    auto p = penstock::range(4) | penstock::map([](std::int64_t i) { return example<float, std::int64_t>{static_cast<float>(i), i}; }) | penstock::batch(2) | penstock::to_device(at::kCPU);
    (void)p.next();
}
