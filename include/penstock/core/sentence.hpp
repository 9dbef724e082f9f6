// Implements: sentence, a text as a template argument, which compilers print with the name of what was called.
#pragma once

#include <cstddef>

namespace penstock {

template <std::size_t N>
struct sentence {
    char text[N];
    consteval sentence(char const (&t)[N]) {
        for (std::size_t i = 0; i != N; ++i) text[i] = t[i];
    }
};

}  // namespace penstock
