// What the pooling files share: loops over lines and channels.
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

}  // namespace
}  // namespace fastnn::FASTNN_ISA
