// expect: control<T>: T must be a number, an enum or a trivial struct of at most 8 bytes
#include <penstock/core/control.hpp>

#include <string>

int main() {
#ifdef PENSTOCK_REPAIRED
    penstock::control<int> c("name", 1);
#else
    penstock::control<std::string> c("name", "");
#endif
    (void)c;
}
