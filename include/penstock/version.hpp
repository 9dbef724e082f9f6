// Implements: the version of these headers; CMake reads it from here.
#pragma once

#define PENSTOCK_VERSION "0.1.0"
