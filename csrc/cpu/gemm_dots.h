// Products whose two operands both run along k (NT with few rows, matrix times vector): every
// element is a dot product, and b is read once, as stored, with the lanes along k. The lanes are
// added up at the end.
#pragma once
#include "cpu/gemm_kernels.h"
#include "cpu/transpose.h"

namespace fastnn::FASTNN_ISA {

// NT products that are worth it: so few rows that turning b round would cost more than adding up
// the lanes.
template <class T>
FASTNN_INLINE bool is_dots(const Gemm<T>& g) {
  return g.b.layout == Right<T>::kColumnMajor && !g.a.transposed && g.a.run == kWhole &&
         (g.n == 1 || (g.m <= 32 && g.k >= 2 * Vec<T>::size));
}

template <int MR, int NR, class T>
__attribute__((noinline)) void dot_kernel(const Block<T>& t) {
  using V = Vec<T>;
  V acc[MR][NR];
  const T *a[MR], *b[NR];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
#pragma GCC unroll 8
  for (int j = 0; j < NR; ++j) b[j] = t.b + j * t.ldb;
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NR; ++j) acc[i][j] = V(T(0));
  int64_t p = 0;
  for (; p + V::size <= t.k; p += V::size) {
    V x[NR];
#pragma GCC unroll 8
    for (int j = 0; j < NR; ++j) x[j] = V::load(b[j] + p);
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const V y = V::load(a[i] + p);
#pragma GCC unroll 8
      for (int j = 0; j < NR; ++j) acc[i][j] = fma(y, x[j], acc[i][j]);
    }
  }
  if (p < t.k) {
    V x[NR];
#pragma GCC unroll 8
    for (int j = 0; j < NR; ++j) x[j] = V::load_n(b[j] + p, t.k - p);
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const V y = V::load_n(a[i] + p, t.k - p);
#pragma GCC unroll 8
      for (int j = 0; j < NR; ++j) acc[i][j] = fma(y, x[j], acc[i][j]);
    }
  }
  // All MR*NR sums, kPart at a time. Each adds its lanes in the same order, wherever it stands.
  constexpr int part = kPart<T>, all = MR * NR;
  alignas(64) T sums[(all + part - 1) / part * part];
#pragma GCC unroll 8
  for (int s = 0; s < all; s += part) {
    V x[part];
#pragma GCC unroll 4
    for (int q = 0; q < part; ++q)
      x[q] = s + q < all ? acc[(s + q) / NR % MR][(s + q) % NR] : V(T(0));
    reduce_add_each(x, sums + s);
  }
  for (int i = 0; i < MR; ++i)
    for (int j = 0; j < NR; ++j) {
      const T sum = sums[i * NR + j];
      t.c[i * t.ldc + j] = t.add ? sum + t.add[i * t.add_ld + j] : sum;
    }
}

template <int MR, int NR, class T>
FASTNN_INLINE void dot_kernel_of(const Block<T>& t) {
  if (t.rows != MR) {
    if constexpr (MR > 1) dot_kernel_of<MR - 1, NR>(t);
  } else if (t.cols != NR) {
    if constexpr (NR > 1) dot_kernel_of<MR, NR - 1>(t);
  } else {
    dot_kernel<MR, NR>(t);
  }
}

// The block (i0..i1, j0..j1) of c; finish(i, rows, j, cols) for each part that is done.
template <class T, class Finish>
FASTNN_INLINE void dots(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
                        Finish finish) {
  // Long rows in parts, which bounds both the working set and the length of a lane's chain.
  constexpr int64_t kLong = 16384 / sizeof(T);
  // 4 x 3 fills AVX2's registers; a single row or column takes 8 of the other at a time.
  const int64_t high = g.n == 1 ? (kRows < 8 ? kRows : 8) : 4, wide = g.m == 1 ? 8 : 3;
  int64_t p = 0;
  do {
    Block<T> t;
    t.k = g.k - p < kLong ? g.k - p : kLong;
    t.ldb = g.b.ld;
    t.ldc = g.ldc;
    const T* add = p ? g.c : g.add;
    t.add_ld = p ? g.ldc : g.add_ld;
    for (int64_t j = j0; j < j1; j += t.cols) {
      t.cols = j1 - j < wide ? j1 - j : wide;
      t.b = g.b.data + j * g.b.ld + p;
      for (int64_t i = i0; i < i1; i += t.rows) {
        t.rows = i1 - i < high ? i1 - i : high;
        for (int r = 0; r < t.rows; ++r) t.a[r] = scalar_address(g.a.data + g.a.strided(i + r) + p);
        t.c = g.c + i * g.ldc + j;
        t.add = add ? add + i * t.add_ld + j : nullptr;
        if (g.n == 1)
          dot_kernel_of<kRows, 1>(t);
        else if (g.m == 1)
          dot_kernel_of<1, 8>(t);
        else
          dot_kernel_of<4, 3>(t);
        if (p + t.k == g.k) finish(i, t.rows, j, t.cols);
      }
    }
    p += t.k;
  } while (p < g.k);
}

}  // namespace fastnn::FASTNN_ISA
