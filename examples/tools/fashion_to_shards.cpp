// Turns Fashion-MNIST (IDX files) into WebDataset shards of uneven sizes, through our own stages; does nothing when they are complete.
//
//   images, labels --> read_idx --> map(encode PNG) --> write_tar        (fashion_shards.hpp)
//
//   fashion_to_shards /usr/share/datasets/fashion-mnist data/fashion-mnist
#include "fashion_shards.hpp"

#include <cstdio>
#include <exception>
#include <string>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: fashion_to_shards FOLDER_OF_IDX_FILES FOLDER_FOR_SHARDS\n");
        return 2;
    }
    try {
        auto const say = [](std::string const& sentence) { std::printf("%s\n", sentence.c_str()); };
        write_fashion_train(argv[1], argv[2], say);
        write_fashion_test(argv[1], argv[2], say);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "fashion_to_shards: %s\n", e.what());
        return 1;
    }
}
