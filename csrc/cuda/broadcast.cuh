// Operands that broadcast to the result, as NumPy defines it: a thread for each element finds its
// place in each operand. Axes that lie one after the other in every operand are merged first, so
// that most calls divide by one size or none.
#pragma once

#include "launch.cuh"
#include "tensor.h"

namespace fastnn::cuda {

constexpr int kBroadcastThreads = 256;

// Merged axes, the innermost first; passed to kernels by value.
template <int N>
struct Broadcast {
  int rank = 0;
  std::int64_t total = 1;
  std::int64_t size[kMaxRank] = {};
  std::int64_t stride[N][kMaxRank] = {};

  Broadcast(const In& y, const In (&x)[N]) {
    std::int64_t step[N];
    for (int k = 0; k < N; ++k) step[k] = 1;
    for (int d = y.rank() - 1; d >= 0; --d) {
      const std::int64_t n = y.dim(d);
      total *= n;
      if (n == 1) continue;
      std::int64_t s[N];
      bool merges = rank > 0;
      for (int k = 0; k < N; ++k) {
        const int own = d - (y.rank() - x[k].rank());
        const std::int64_t extent = own >= 0 ? x[k].dim(own) : 1;
        s[k] = extent == 1 ? 0 : step[k];
        step[k] *= extent;
        merges = merges && s[k] == stride[k][rank - 1] * size[rank - 1];
      }
      if (merges) {
        size[rank - 1] *= n;
        continue;
      }
      size[rank] = n;
      for (int k = 0; k < N; ++k) stride[k][rank] = s[k];
      ++rank;
    }
  }

  // All operands have the result's shape.
  bool dense() const {
    bool all = rank <= 1;
    for (int k = 0; k < N; ++k) all = all && (rank == 0 || stride[k][0] == 1);
    return all;
  }

  // Places of the result's element `index` in the operands.
  FN_DEVICE void places(std::int64_t index, std::int64_t (&at)[N]) const {
    for (int k = 0; k < N; ++k) at[k] = 0;
    for (int d = 0; d < rank; ++d) {
      const std::int64_t rest = index / size[d], i = index - rest * size[d];
      for (int k = 0; k < N; ++k) at[k] += i * stride[k][d];
      index = rest;
    }
  }
};

template <class F, class T>
__global__ void __launch_bounds__(kBroadcastThreads)
    broadcast_kernel(F f, Broadcast<2> plan, const T* a, const T* b, T* y) {
  const std::int64_t i =
      static_cast<std::int64_t>(block_idx().x) * kBroadcastThreads + thread_idx().x;
  if (i >= plan.total) return;
  std::int64_t at[2];
  plan.places(i, at);
  y[i] = f(a[at[0]], b[at[1]]);
}

template <class T>
__global__ void __launch_bounds__(kBroadcastThreads)
    broadcast_copy_kernel(Broadcast<1> plan, const T* x, T* y) {
  const std::int64_t i =
      static_cast<std::int64_t>(block_idx().x) * kBroadcastThreads + thread_idx().x;
  if (i >= plan.total) return;
  std::int64_t at[1];
  plan.places(i, at);
  y[i] = x[at[0]];
}

}  // namespace fastnn::cuda
