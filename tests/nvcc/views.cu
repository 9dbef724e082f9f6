// expect: penstock/ranges/ cannot be compiled by nvcc, which does not take range-v3. HINT: include it in a .cpp file
#include <penstock/ranges/via.hpp>

int main() {}
