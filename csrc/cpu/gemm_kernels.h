// The innermost loops of gemm.h: micro-kernels that keep a block of c in registers while k passes
// by. Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
#pragma once
#include "cpu/gemm.h"

namespace fastnn::FASTNN_ISA {

// One register block of c: c (rows,cols) = add + a (rows,k) b (k,cols).
template <class T>
struct Block {
  const T* a[kRows];
  int64_t a_step;  // from one p to the next
  const T* b;
  int64_t ldb;
  int64_t pair;  // from two vectors of b to the next two: another panel, or 2 vectors on
  int64_t k;
  T* c;
  int64_t ldc;
  const T* add;  // or null
  int64_t add_ld;
  int64_t rows, cols;
};

#ifdef FASTNN_MM512
FASTNN_INLINE __mmask16 first_lanes(int64_t n) {
  return n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1;
}
#endif

template <int MR, int NV, class T>
FASTNN_INLINE void store_block(const Block<T>& t, const Vec<T> (&acc)[MR][NV]) {
  using V = Vec<T>;
  T* c = t.c;
  const T* add = t.add;
  const int64_t ldc = t.ldc, add_ld = t.add_ld, cols = t.cols;
  if (NV > 2 || cols == NV * V::size) {  // wider blocks have no edge
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      if (add) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          (acc[i][v] + V::load(add + v * V::size)).store(c + v * V::size);
        add += add_ld;
      } else {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[i][v].store(c + v * V::size);
      }
      c += ldc;
    }
    return;
  }
  // An edge of c.
#ifdef FASTNN_MM512
  if constexpr (sizeof(T) == 4) {
    __mmask16 seen[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) seen[v] = first_lanes(cols - v * V::size);
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        __m512 x = (__m512)acc[i][v].v;
        if (add) x += _mm512_maskz_loadu_ps(seen[v], add + i * add_ld + v * V::size);
        _mm512_mask_storeu_ps(c + i * ldc + v * V::size, seen[v], x);
      }
    return;
  }
#endif
  // By way of memory, which keeps the code short.
  alignas(64) T block[MR][NV * V::size];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v].store(&block[i][v * V::size]);
  for (int64_t i = 0; i < MR; ++i)
    for (int64_t j = 0; j < cols; j += V::size) {
      V x = V::load(&block[i][j]);
      if (add) x += V::load_n(add + i * add_ld + j, cols - j);
      x.store_n(c + i * ldc + j, cols - j);
    }
}

// kTail: the last vector of b has t.cols % size columns, and memory may end there.
// `within` is where k starts in the current run of a's columns; `run_at` are the runs from it on.
template <int MR, int NV, bool kTail, class T>
__attribute__((noinline)) void block_kernel(const Block<T>& t, int64_t within, int64_t run,
                                            const int64_t* run_at) {
  using V = Vec<T>;
  V acc[MR][NV];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = V(T(0));
  // c is wanted when the sums are done; if they are not short, it has come by then.
  if (t.k >= 64) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) __builtin_prefetch(t.c + i * t.ldc + v * V::size, 1);
  }
  const T* b = t.b;
  const int64_t ldb = t.ldb, pair = t.pair, step = t.a_step, cols = t.cols;
  const T* a[MR];  // they move, so that only one set of addresses is in registers
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
  int64_t at = 0;  // of the columns, where they stand
  for (int64_t left = t.k; left > 0;) {
    const int64_t start = (run_at ? *run_at++ : 0) + within * step;
    int64_t count = run - within < left ? run - within : left;
    left -= count;
    within = 0;
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) a[i] += start - at;
    at = start + count * step;
    do {
      V column[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const T* from = b + v / 2 * pair + v % 2 * V::size;
        column[v] = kTail ? V::load_n(from, cols - v * V::size) : V::load(from);
      }
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const V x(*a[i]);
        a[i] += step;
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, column[v], acc[i][v]);
      }
      b += ldb;
    } while (--count);
  }
  store_block<MR, NV>(t, acc);
}

// One row against unpacked b: c (1,cols) is kept in L1 instead, so that b is read in long rows,
// eight side by side. The same sums in the same order.
template <class T>
__attribute__((noinline)) void single_row_kernel(const Block<T>& t, int64_t p0) {
  using V = Vec<T>;
  constexpr int kDeep = 8;
  alignas(64) T sum[kBlockN<T>];
  const T *a = t.a[0] + p0, *b = t.b;
  const int64_t vectors = (t.cols + V::size - 1) / V::size;
  for (int64_t v = 0; v < vectors; ++v) V(T(0)).store(sum + v * V::size);
  for (int64_t p = 0; p < t.k;) {
    const int64_t deep = t.k - p < kDeep ? 1 : kDeep;
    if (deep == kDeep) {
      V x[kDeep];
#pragma GCC unroll 8
      for (int q = 0; q < kDeep; ++q) x[q] = V(a[p + q]);
      for (int64_t j = 0; j < t.cols; j += V::size) {
        V s = V::load(sum + j);
#pragma GCC unroll 8
        for (int q = 0; q < kDeep; ++q) s = fma(x[q], V::load_n(b + q * t.ldb + j, t.cols - j), s);
        s.store(sum + j);
      }
    } else {
      const V x(a[p]);
      for (int64_t j = 0; j < t.cols; j += V::size)
        fma(x, V::load_n(b + j, t.cols - j), V::load(sum + j)).store(sum + j);
    }
    p += deep;
    b += deep * t.ldb;
  }
  for (int64_t j = 0; j < t.cols; j += V::size) {
    V x = V::load(sum + j);
    if (t.add) x += V::load_n(t.add + j, t.cols - j);
    x.store_n(t.c + j, t.cols - j);
  }
}

// Rows of the next block when `left` remain: full blocks, and the last ones of even height, because
// blocks of one or two rows wait for their own additions.
FASTNN_INLINE int64_t block_rows(int64_t left) {
  if (left >= 2 * kRows || left == kRows) return kRows;
  return left > kRows ? (left + 1) / 2 : left;
}

// Vectors across for a block of few rows: as many as the registers allow, in pairs, for fewer sums
// than that would wait for their own additions.
FASTNN_INLINE constexpr int wide_vectors(int rows) {
  const int n = kAccumulators / rows;
  return n > 8 ? 8 : n / 2 * 2;
}
// Columns of the next block whose b is packed. A single row takes whatever panels are left at once.
template <class T>
FASTNN_INLINE int64_t packed_width(int64_t m, int64_t left) {
  const int64_t wide = wide_vectors(m < kRows ? (int)m : kRows) * Vec<T>::size;
  if (left >= wide) return wide;
  return m == 1 && left >= kPanel<T> ? left / kPanel<T> * kPanel<T> : kPanel<T>;
}
// Columns of the next direct block: as wide as the registers allow, then vector by vector.
template <class T>
FASTNN_INLINE int64_t direct_width(int64_t m, int64_t left) {
  constexpr int V = Vec<T>::size;
  const int64_t wide = wide_vectors(m < kRows ? (int)m : kRows) * V;
  return left >= wide ? wide : left >= 2 * V ? 2 * V : V;
}

// f(Constant<MR>, Constant<NV>) for the block that t is: its rows, and of the vectors across that
// packed_width() and direct_width() give, NV >= 2, the number that holds its columns.
template <int n>
struct Constant {
  constexpr operator int() const { return n; }
};
template <int MR = kRows, class T, class F>
FASTNN_INLINE void with_shape(const Block<T>& t, F f) {
  constexpr int V = Vec<T>::size;
  if (t.rows != MR) {
    if constexpr (MR > 1) with_shape<MR - 1>(t, f);
  } else if (t.cols <= 2 * V) {
    f(Constant<MR>{}, Constant<2>{});
  } else if (MR == 1 && t.cols == 4 * V) {
    f(Constant<1>{}, Constant<4>{});
  } else if (MR == 1 && t.cols == 6 * V) {
    f(Constant<1>{}, Constant<6>{});
  } else {
    f(Constant<MR>{}, Constant<wide_vectors(MR)>{});
  }
}

template <class T>
FASTNN_INLINE void block_kernel_of(const Block<T>& t, int64_t within, int64_t run,
                                   const int64_t* run_at, bool direct) {
  constexpr int V = Vec<T>::size;
  with_shape(t, [&](auto rows, auto vectors) __attribute__((always_inline)) {
    if (vectors > 2 || t.cols > V)
      block_kernel<rows, vectors, false>(t, within, run, run_at);
    else if (direct && t.cols < V)
      block_kernel<rows, 1, true>(t, within, run, run_at);
    else
      block_kernel<rows, 1, false>(t, within, run, run_at);
  });
}

}  // namespace fastnn::FASTNN_ISA
