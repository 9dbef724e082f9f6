// expect: window(n): its items are in several windows, so they must be copyable. HINT: use batch(n), or window over shared pointers
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/window.hpp>

#include <memory>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector(std::vector<std::unique_ptr<int>>(3)) | ps::window(2));
#endif
    (void)(ps::from_vector(std::vector<std::shared_ptr<int>>(3)) | ps::window(2));
}
