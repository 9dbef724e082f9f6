// A user's program that links the installed training room, and with it LibTorch.
#include <penstock/train/schedule.hpp>

#include <ATen/Parallel.h>

#include <cstdlib>
#include <iostream>

namespace ps = penstock;

int main() {
    ps::train::schedule rate = ps::train::warmup(10);
    std::cout << "threads of LibTorch: " << at::get_num_threads() << '\n';
    return rate(9) == 1.0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
