// Transposing inside registers: small square blocks between row order and column order, and sums of
// several vectors at once, which are the same shuffles with additions between.
#pragma once
#include "cpu/simd_lanes.h"

namespace fastnn::FASTNN_ISA {

// Numbers in 16 bytes, the part of a register that shuffles do not leave.
template <class T>
inline constexpr int kPart = 16 / sizeof(T);

// In each part of x and y, the lower (upper) halves interleaved: x0 y0 x1 y1.
template <bool upper, class Raw, int... i>
FASTNN_INLINE Raw interleave(Raw x, Raw y, Indices<i...>) {
  constexpr int n = sizeof...(i), part = 16 / sizeof(x[0]);
  return __builtin_shufflevector(
      x, y, (i / part * part + i % part / 2 + (upper ? part / 2 : 0) + (i % 2 ? n : 0))...);
}
template <bool upper, class Raw>
FASTNN_INLINE Raw interleave(Raw x, Raw y) {
  return interleave<upper>(x, y, typename Count<sizeof(x) / sizeof(x[0])>::type{});
}

template <class Half, int... i>
FASTNN_INLINE auto concat(Half x, Half y, Indices<i...>) {
  return __builtin_shufflevector(x, y, i...);
}

// 16 bytes at each of `parts` addresses, step apart, side by side in one vector.
template <int parts, class T>
FASTNN_INLINE auto gather_parts(const T* src, int64_t step) {
  if constexpr (parts == 1) {
    return (typename Native<T, kPart<T>>::type) *
           reinterpret_cast<const typename Native<T, kPart<T>>::unaligned*>(src);
  } else {
    return concat(gather_parts<parts / 2>(src, step),
                  gather_parts<parts / 2>(src + parts / 2 * step, step),
                  typename Count<parts * kPart<T>>::type{});
  }
}

// kPart vectors: the square in each of their parts.
template <class T>
FASTNN_INLINE void transpose_parts(typename Vec<T>::Raw* r) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (kPart<T> == 2) {
    const Raw a = interleave<false>(r[0], r[1]);
    r[1] = interleave<true>(r[0], r[1]);
    r[0] = a;
  } else {
    using Pairs = Vec<double>::Raw;
    const Pairs a = (Pairs)interleave<false>(r[0], r[1]), b = (Pairs)interleave<true>(r[0], r[1]);
    const Pairs c = (Pairs)interleave<false>(r[2], r[3]), d = (Pairs)interleave<true>(r[2], r[3]);
    r[0] = (Raw)interleave<false>(a, c);
    r[1] = (Raw)interleave<true>(a, c);
    r[2] = (Raw)interleave<false>(b, d);
    r[3] = (Raw)interleave<true>(b, d);
  }
}

// Vec<T>::size rows of 16 bytes, ld apart, stored as kPart columns, dst_ld apart.
template <class T>
FASTNN_INLINE void transpose16(const T* src, int64_t ld, T* dst, int64_t dst_ld) {
  using V = Vec<T>;
  using Raw = typename V::Raw;
  constexpr int part = kPart<T>;
  Raw r[part];
#pragma GCC unroll 4
  for (int q = 0; q < part; ++q) r[q] = (Raw)gather_parts<V::size / part>(src + q * ld, part * ld);
  transpose_parts<T>(r);
#pragma GCC unroll 4
  for (int q = 0; q < part; ++q) V::of(r[q]).store(dst + q * dst_ld);
}

// The even (odd) parts of x, then those of y.
template <bool odd, class Raw, int... i>
FASTNN_INLINE Raw alternate_parts(Raw x, Raw y, Indices<i...>) {
  constexpr int part = 16 / sizeof(x[0]);
  return __builtin_shufflevector(x, y, (i / part * 2 * part + i % part + (odd ? part : 0))...);
}
template <bool odd, class Raw>
FASTNN_INLINE Raw alternate_parts(Raw x, Raw y) {
  return alternate_parts<odd>(x, y, typename Count<sizeof(x) / sizeof(x[0])>::type{});
}

// Vec<T>::size rows of as many numbers, ld apart, stored as columns, dst_ld apart. Each row is read
// and each column written by one instruction: steps of some KB would throw out of the cache what is
// touched twice. With `whole` false it is only `rows` rows of `columns` numbers.
template <bool whole = true, class T>
FASTNN_INLINE void transpose_square(const T* src, int64_t ld, T* dst, int64_t dst_ld,
                                    int64_t rows = Vec<T>::size, int64_t columns = Vec<T>::size) {
  using V = Vec<T>;
  using Raw = typename V::Raw;
  constexpr int part = kPart<T>, parts = V::size / part;
  Raw r[V::size];
#pragma GCC unroll 16
  for (int q = 0; q < V::size; ++q)
    r[q] = whole ? V::load(src + q * ld).v : q < rows ? V::load_n(src + q * ld, columns).v : Raw{};
#pragma GCC unroll 4
  for (int g = 0; g < V::size; g += part) transpose_parts<T>(r + g);
#pragma GCC unroll 4
  for (int c = 0; c < part; ++c) {
    auto put = [&](int p, Raw x) {
      const int64_t column = p * part + c;
      if (whole)
        V::of(x).store(dst + column * dst_ld);
      else if (column < columns)
        V::of(x).store_n(dst + column * dst_ld, rows);
    };
    if constexpr (parts == 1) {
      put(0, r[c]);
    } else if constexpr (parts == 2) {
      put(0, alternate_parts<false>(r[c], r[part + c]));
      put(1, alternate_parts<true>(r[c], r[part + c]));
    } else {
      const Raw w = alternate_parts<false>(r[c], r[part + c]),
                x = alternate_parts<false>(r[2 * part + c], r[3 * part + c]),
                y = alternate_parts<true>(r[c], r[part + c]),
                z = alternate_parts<true>(r[2 * part + c], r[3 * part + c]);
      put(0, alternate_parts<false>(w, x));
      put(1, alternate_parts<false>(y, z));
      put(2, alternate_parts<true>(w, x));
      put(3, alternate_parts<true>(y, z));
    }
  }
}

// Parts folded upper half onto lower.
template <class Raw>
FASTNN_INLINE auto fold_parts(Raw v) {
  if constexpr (sizeof(v) == 16)
    return v;
  else
    return fold_parts(lower_half(v) + upper_half(v));
}

// sum[q] = the sum of the lanes of x[q], for kPart vectors at once.
template <class T>
FASTNN_INLINE void reduce_add_each(const Vec<T> (&x)[kPart<T>], T* sum) {
  using Raw = typename Vec<T>::Raw;
  Raw r;
  if constexpr (kPart<T> == 2) {
    r = interleave<false>(x[0].v, x[1].v) + interleave<true>(x[0].v, x[1].v);
  } else {
    using Pairs = Vec<double>::Raw;
    const Pairs a = (Pairs)(interleave<false>(x[0].v, x[1].v) + interleave<true>(x[0].v, x[1].v));
    const Pairs b = (Pairs)(interleave<false>(x[2].v, x[3].v) + interleave<true>(x[2].v, x[3].v));
    r = (Raw)interleave<false>(a, b) + (Raw)interleave<true>(a, b);
  }
  *reinterpret_cast<typename Native<T, kPart<T>>::unaligned*>(sum) = fold_parts(r);
}

}  // namespace fastnn::FASTNN_ISA
