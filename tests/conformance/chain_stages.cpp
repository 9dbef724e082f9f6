// Implements: stage_kinds(), the table of stages that random chains are made of.
#include <conformance/chain_maker.hpp>

namespace penstock::test {

namespace {

template <class Make>
stage_kind kind(std::string name, int most, Make make) {
    return {std::move(name), most, [make](chain c, int a) { return any(std::move(c) | make(a)); }};
}
/// Puts single items on the outside of a batch again.
auto flattened() {
    return stage("flattened", []<class S>(S input) {
        struct flat : stage_over<S> {
            using item_type = chain_item;
            using stage_over<S>::stage_over;
            std::optional<item_type> next() {
                auto b = this->up.next();
                if (!b) return std::nullopt;
                auto sum = 0;
                for (auto i : b->items) sum = sum * 31 + i;
                return item_type{b->ids.empty() ? 0 : b->ids.front(), b->pass, std::move(b->cover), message(b->size()), b->weight(), sum};
            }
        };
        return flat(std::move(input));
    });
}

}  // namespace

std::vector<stage_kind> const& stage_kinds() {
    static auto const all = std::vector<stage_kind>{
        kind("map", 3, [](int a) { return map([a](int i) { return i + a; }); }),
        kind("map that fails", 9, [](int a) {
            return map([a](int i) {
                if (i % 10 == a) throw std::runtime_error("map: " + std::to_string(i));
                return i;
            });
        }),
        kind("map_keyed", 3, [](int a) { return map_keyed([a](auto const& item) { return item.value + static_cast<int>(item.id) * a; }); }),
        kind("filter", 5, [](int a) { return filter([a](int i) { return i % (a + 1) != 0; }); }),
        kind("inspect", 1, [](int) { return inspect([](int) {}); }),
        kind("take", 20, [](int a) { return take(a); }),
        kind("shuffle", 12, [](int a) { return shuffle(a); }),
        kind("shuffle warm", 12, [](int a) { return shuffle({.window = a, .warm = true}); }),
        kind("batch", 7, [](int a) { return batch(a) | flattened(); }),
        kind("steer", 3, [](int a) { return steer(control<int>("by", a), [](int by, int i) { return i * by; }); }),
        kind("prefetch", 40, [](int a) { return prefetch(a); }),
    };
    return all;
}

}  // namespace penstock::test
