// expect: image::decode needs samples, keyed<fields>, as read_tar() yields them. HINT: decode before map(), or call image::decode_image(bytes) in map()
// rooms: image
#include <penstock/image/decode.hpp>

#include <optional>

namespace ps = penstock;

struct numbers {
    using item_type = int;
    std::optional<int> next() { return 1; }
};
struct samples {
    using item_type = ps::sample;
    std::optional<ps::sample> next() { return std::nullopt; }
};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::pipeline<numbers>(numbers{}) | ps::image::decode("png"));
#endif
    (void)(ps::pipeline<samples>(samples{}) | ps::image::decode("png"));
}
