// Implements: Catch2 2 or 3, whichever is installed. Include it last: it replaces c10's CHECK macros.
#pragma once

#undef CHECK
#undef CHECK_FALSE
#undef CHECK_THROWS_AS
#undef FAIL
#undef WARN
#undef INFO
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
