// expect: this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/count.hpp>
#include <penstock/stages/first.hpp>
#include <penstock/stages/fold.hpp>
#include <penstock/stages/for_each.hpp>
#include <penstock/stages/last.hpp>
#include <penstock/stages/max_by.hpp>
#include <penstock/stages/min_by.hpp>
#include <penstock/stages/write_to.hpp>

struct plan {
    using plan_type = void;
};
struct any_sink {
    void write(std::int64_t) {}
    void finish() {}
};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | ps::collect());
    (void)(plan{} | ps::count());
    (void)(plan{} | ps::first());
    (void)(plan{} | ps::last());
    (void)(plan{} | ps::fold(0, [](auto a, auto) { return a; }));
    (void)(plan{} | ps::for_each([](auto) {}));
    (void)(plan{} | ps::min_by([](auto i) { return i; }));
    (void)(plan{} | ps::max_by([](auto i) { return i; }));
    (void)(plan{} | ps::write_to(any_sink{}));
#endif
    (void)(ps::range(3) | ps::collect());
    (void)(ps::range(3) | ps::count());
    (void)(ps::range(3) | ps::first());
    (void)(ps::range(3) | ps::last());
    (void)(ps::range(3) | ps::fold(0, [](auto a, auto) { return a; }));
    ps::range(3) | ps::for_each([](auto) {});
    (void)(ps::range(3) | ps::min_by([](auto i) { return i; }));
    (void)(ps::range(3) | ps::max_by([](auto i) { return i; }));
    ps::range(3) | ps::write_to(any_sink{});
}
