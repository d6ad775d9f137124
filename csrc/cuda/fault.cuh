// Values that a kernel refuses: a label outside the classes, an index outside the rows.
//
// The first report wins and stays in pinned host memory until the gate looks. The texts are host
// pointers that pass through the device unread. The kernel itself goes on inside its arrays.
#pragma once

#include "launch.cuh"

namespace fastnn::cuda {

struct FaultWord {
  int taken, ready;  // a reporter claims the first, and sets the second after the rest
  const char* kernel;
  const char* what;
  std::int64_t value, limit;
};

// Part of a launch's arguments; report(value, limit) in the kernel says "expected 0 <= value <
// limit".
struct Report {
  FaultWord* word;
  const char* kernel;
  const char* what;
  FN_DEVICE void operator()(std::int64_t value, std::int64_t limit) const {
    if (atomic_cas(&word->taken, 0, 1) != 0) return;
    word->kernel = kernel;
    word->what = what;
    word->value = value;
    word->limit = limit;
    publish(&word->ready, 1);
  }
};

}  // namespace fastnn::cuda
