// Implements: the version of these headers; CMake reads it from here.
#pragma once

#define PENSTOCK_VERSION "0.1.0"
#define PENSTOCK_VERSION_NUMBER 100  // 10000 * major + 100 * minor + patch, for #if
