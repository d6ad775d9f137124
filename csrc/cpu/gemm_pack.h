// Packing for gemm.h: copies of a and b in the order in which the micro-kernels read them.
//
// b: for each block of kBlockK rows, panels of kPanel columns, a panel being [row][column], padded
// with zeros to its full width.  a: panels of block_rows() rows, each [p][row].
#pragma once
#include "cpu/gemm_kernels.h"
#include "cpu/transpose.h"

namespace fastnn::FASTNN_ISA {

// ---- b ----------------------------------------------------------------------------------------

// Vec<T>::size columns or fewer of b into one half of a panel, missing columns as zeros.
template <class T>
FASTNN_INLINE void pack_columns(T* dst, const Right<T>& b, int64_t k, int64_t cols) {
  using V = Vec<T>;
  constexpr int part = 16 / sizeof(T);
  if (b.layout == Right<T>::kRowMajor) {
    for (int64_t p = 0; p < k; ++p) V::load_n(b.data + p * b.ld, cols).store(dst + p * kPanel<T>);
    return;
  }
  int64_t p = 0;
  if (cols >= V::size)
    for (; p + part <= k; p += part) transpose16(b.data + p, b.ld, dst + p * kPanel<T>, kPanel<T>);
  for (; p < k; ++p)
    for (int j = 0; j < V::size; ++j)
      dst[p * kPanel<T> + j] = j < cols ? b.data[j * b.ld + p] : T(0);
}

// Whole panels of a row-major b, four at a time so that its rows are read in long pieces.
template <class T>
FASTNN_INLINE int64_t pack_panels(T* dst, const Right<T>& b, int64_t k, int64_t nb) {
  using V = Vec<T>;
  constexpr int64_t NR = kPanel<T>;
  int64_t j = 0;
  for (; j + 4 * NR <= nb; j += 4 * NR) {
    for (int64_t p = 0; p < k; ++p) {
      const T* src = b.data + p * b.ld + j;
      T* to = dst + j * k + p * NR;
      // Rows lie too far apart for the hardware to see them coming.
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) __builtin_prefetch(src + 8 * b.ld + q * NR);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        V::load(src + q * NR).store(to + q * NR * k);
        V::load(src + q * NR + V::size).store(to + q * NR * k + V::size);
      }
    }
  }
  return j;
}

// What a format of operands says of b (Numbers here, bf16::Words): depth(k), the elements that k
// rows of a column take; pack_panels(), as above; and pack_columns(half, b, kc, at, rows, cols) for
// rows [at, at + rows) of a block of kc, one half of a panel, `cols` columns or fewer than that,
// even none.
template <class T>
struct Numbers {
  static FASTNN_INLINE int64_t depth(int64_t k) { return k; }
  static FASTNN_INLINE int64_t pack_panels(T* dst, const Right<T>& b, int64_t k, int64_t nb) {
    return fastnn::FASTNN_ISA::pack_panels(dst, b, k, nb);
  }
  static FASTNN_INLINE void pack_columns(T* half, const Right<T>& b, int64_t, int64_t at,
                                         int64_t rows, int64_t cols) {
    fastnn::FASTNN_ISA::pack_columns(half + at * kPanel<T>, b, rows, cols);
  }
};

// As pack_right(), in a format.
template <class Format, class T>
void pack_right_as(T* dst, int64_t k, int64_t n, const Right<T>& b, int64_t p0, int64_t kb,
                   int64_t j0, int64_t nb) {
  constexpr int64_t NR = kPanel<T>, V = Vec<T>::size;
  for (int64_t p = p0; p < p0 + kb;) {
    // The block of kBlockK rows that p lies in, and how many of its rows are ours.
    const int64_t block = p / kBlockK * kBlockK;
    const int64_t kc = k - block < kBlockK ? k - block : kBlockK, depth = Format::depth(kc);
    const int64_t rows = block + kc < p0 + kb ? block + kc - p : p0 + kb - p;
    T* base = dst + Format::depth(block) * padded_columns<T>(n);
    const auto pack = [&](int64_t j, const Right<T>& from, int64_t cols) {
      Format::pack_columns(base + j / NR * NR * depth + j % NR, from, kc, p - block, rows, cols);
    };
    const Right<T> from = b.at(p - p0, 0);
    int64_t j = 0;
    if (b.layout == Right<T>::kRowMajor && rows == kc && j0 % NR == 0)
      j = Format::pack_panels(base + j0 * depth, from, kc, nb);
    for (; j < nb; j += V) pack(j0 + j, from.at(0, j), nb - j < V ? nb - j : V);
    // The other half of the last panel.
    if (j0 + nb == n && (n + V - 1) / V % 2) pack(n / NR * NR + V, from, 0);
    p += rows;
  }
}

// ---- a ----------------------------------------------------------------------------------------

// Rows [i, i+m) of a for k in [p, p+kc), in panels of block_rows() rows. Where whole vectors do not
// fit a panel's height, the next row overwrites what one puts beyond it; only the last rows must
// end exactly. Reading is bounded by `limit`, the rows of a from i on.

// a transposed: rows of the panel lie side by side.
template <class T>
void pack_transposed_left(T* dst, const Left<T>& a, int64_t i, int64_t m, int64_t limit, int64_t p,
                          int64_t kc) {
  using V = Vec<T>;
  constexpr int kVectors = (kRows + V::size - 1) / V::size;
  constexpr int64_t kStrip = 16;  // of k at a time, so that each row of a is read in one go
  for (int64_t q = 0; q < kc; q += kStrip) {
    const int64_t strip = kc - q < kStrip ? kc - q : kStrip;
    int64_t at[kStrip];
    for (int64_t s = 0; s < strip; ++s) at[s] = a.strided(p + q + s);
    int64_t height;
    for (int64_t r = 0; r < m; r += height) {
      height = block_rows(m - r);
      T* to = dst + r * kc + q * height;
      int64_t s = 0;
      if (a.run == kWhole && r + kVectors * V::size <= limit)
        for (; s < strip && (kc - q - s) * height >= kVectors * V::size; ++s) {
          const T* from = a.data + at[s] + i + r;
          __builtin_prefetch(from + kStrip * a.ld);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v)
            V::load(from + v * V::size).store(to + s * height + v * V::size);
        }
      for (; s < strip; ++s)
        for (int64_t u = 0; u < height; ++u)
          to[s * height + u] = a.data[at[s] + a.contiguous(i + r + u)];
    }
  }
}

// a as stored: rows of the panel are ld apart. A panel higher than a vector takes several, the last
// of which overlaps the one before instead of reaching beyond: columns are written two or four at a
// time, so what it put into the next one would stay.
template <class T>
void pack_left(T* dst, const Left<T>& a, int64_t i, int64_t m, int64_t limit, int64_t p,
               int64_t kc) {
  constexpr int64_t V = Vec<T>::size;
  constexpr int part = kPart<T>;
  int64_t height;
  for (int64_t r = 0; r < m; r += height) {
    height = block_rows(m - r);
    const int64_t reach = height < V ? V : height;
    T* to = dst + r * kc;
    const T* from = a.data + (i + r) * a.ld + p;
    int64_t q = 0;
    if (r + reach <= limit)
      for (; (kc - q - part + 1) * height >= reach; q += part)
        for (int64_t u = 0; u < height; u += V) {
          const int64_t row = u + V <= reach ? u : reach - V;
          transpose16(from + row * a.ld + q, a.ld, to + q * height + row, height);
        }
    for (; q < kc; ++q)
      for (int64_t u = 0; u < height; ++u) to[q * height + u] = from[u * a.ld + q];
  }
}

}  // namespace fastnn::FASTNN_ISA
