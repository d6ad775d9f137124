// What the pooling files share: loops over lines, channels and all positions.
#pragma once
#include "cpu/team.h"
#include "cpu/types.h"
#include "geometry.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {
namespace {

// Calls f(i) for every line of `width` elements, several to a tile where they are short.
template <class F>
FASTNN_INLINE void lines(int64_t count, int64_t width, F f) {
  pieces(count, larger(smaller(8192 / (width + 1), count / 16), 1),
         [&](int64_t begin, int64_t end) {
           for (int64_t i = begin; i < end; ++i) f(i);
         });
}

// Calls f(j, left) for the vectors of c channels; the last one may have fewer than a vector's.
template <class T, class F>
FASTNN_INLINE void channels(int64_t c, F f) {
  int64_t j = 0;
  for (; j + Vec<T>::size <= c; j += Vec<T>::size) f(j, (int64_t)Vec<T>::size);
  if (j < c) f(j, c - j);
}

// to (+)= value(j, left) for the vectors of c channels.
template <class T, class F>
FASTNN_INLINE void put(T* to, bool first, int64_t c, F value) {
  if (first) {
    channels<T>(c, [&](int64_t j, int64_t left) { value(j, left).store_n(to + j, left); });
  } else {
    channels<T>(c, [&](int64_t j, int64_t left) {
      (Vec<T>::load_n(to + j, left) + value(j, left)).store_n(to + j, left);
    });
  }
}
template <class T>
FASTNN_INLINE void put_zero(T* to, int64_t c) {
  put(to, true, c, [](int64_t, int64_t) { return Vec<T>(T(0)); });
}

// ---- over all positions -------------------------------------------------------------------------

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
