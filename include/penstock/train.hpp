// Implements: everything for training: ranks, batches on a device, the loop. Needs LibTorch.
#pragma once

#include <penstock/dist/context.hpp>
#include <penstock/dist/run.hpp>

#include <penstock/tensor/to_device.hpp>

#include <penstock/train/feedback.hpp>
#include <penstock/train/fit.hpp>
#include <penstock/train/optimizer.hpp>
#include <penstock/train/precision.hpp>
#include <penstock/train/rng.hpp>
#include <penstock/train/schedule.hpp>
#include <penstock/train/validate.hpp>
