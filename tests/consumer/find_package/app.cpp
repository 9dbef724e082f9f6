// A user's program that found an installed penstock by find_package().
#include <penstock/core/errors.hpp>

#include <iostream>

namespace ps = penstock;

int main() {
    try {
        throw ps::config_error(ps::message("take(n): n must be >= 0, got ", -1));
    } catch (ps::error const& e) {
        std::cout << e.what() << '\n';
    }
}
