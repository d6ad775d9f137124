// Losses that are a function of one target and one prediction, averaged (or added) over the last
// axis; their numbers in the catalogue, for every backend and for Python.
#pragma once
#include <stdint.h>

namespace fastnn {

enum class PointwiseLoss : int64_t {
  squared_error,
  absolute_error,
  percentage_error,
  squared_log_error,
  huber,
  log_cosh,
  binary_crossentropy,
  binary_crossentropy_logits,
  hinge,
  squared_hinge,
  poisson,
  kl_divergence,
};

// Keras' epsilon: probabilities are clipped to [kProbabilityFloor, 1 - kProbabilityFloor].
inline constexpr double kProbabilityFloor = 1e-7;

}  // namespace fastnn
