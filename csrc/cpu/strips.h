// Means and maxima over positions, of n rows of channels: strips of channels whose sums stay in
// registers while all positions pass by.
#pragma once
#include "cpu/team.h"
#include "cpu/types.h"
#include "geometry.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <int n>
struct Vectors {
  static constexpr int count = n;
};

// The channels of every n in strips of 4 vectors, which are whole cache lines: f(n, j, left,
// Vectors<4>), and vector by vector what is left: f(n, j, left, Vectors<1>).
template <class T, class F>
FASTNN_INLINE void strips(int64_t n, int64_t c, F f) {
  constexpr int64_t width = 4 * Vec<T>::size;
  const int64_t across = ceil_div(c, width);
  tiles(n * across, [&](int64_t t) {
    const int64_t begin = t % across * width, end = smaller(begin + width, c);
    if (begin + width == end) {
      f(t / across, begin, width, Vectors<4>{});
    } else {
      for (int64_t j = begin; j < end; j += Vec<T>::size) f(t / across, j, c - j, Vectors<1>{});
    }
  });
}

// f(v, offset, left) for each vector of a strip.
template <class T, class Width, class F>
FASTNN_INLINE void each_vector(Width, int64_t left, F f) {
#pragma GCC unroll 4
  for (int v = 0; v < Width::count; ++v)
    f(v, v * Vec<T>::size, Width::count > 1 ? Vec<T>::size : left);
}

FASTNN_INLINE int64_t count_true(const uint8_t* mask, int64_t l) {
  int64_t count = 0;
  for (int64_t i = 0; i < l; ++i) count += mask[i] != 0;
  return count;
}

}  // namespace
}  // namespace fastnn::FASTNN_ISA
