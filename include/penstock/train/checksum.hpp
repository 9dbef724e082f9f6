// Implements: train::crc32c(bytes), the checksum of every file of a checkpoint.
#pragma once

#include <penstock/io/crc32c.hpp>  // defines: crc32c

namespace penstock::train {

using io::crc32c;

}  // namespace penstock::train
