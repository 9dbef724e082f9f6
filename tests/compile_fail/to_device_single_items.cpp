// expect: to_device works on batches, but single items come from the stage before it. HINT: put batch(n) before it
// rooms: tensor
#include <penstock/sources/range.hpp>
#include <penstock/tensor/to_device.hpp>

namespace ps = penstock;

int main() { (void)(ps::range(3) | ps::to_device(at::kCPU)); }
