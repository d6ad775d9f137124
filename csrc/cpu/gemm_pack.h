// Packing for gemm.h: copies of a and b in the order in which the micro-kernels read them.
//
// b: for each block of kBlockK rows, panels of kPanel columns, a panel being [row][column], padded
// with zeros to its full width.  a: panels of kRows rows, each [p][row], padded likewise.
#pragma once
#include "cpu/gemm_kernels.h"

namespace fastnn::FASTNN_ISA {

// ---- transposing in registers -----------------------------------------------------------------

template <int... i>
struct Indices {};
template <int n, int... i>
struct Count : Count<n - 1, n - 1, i...> {};
template <int... i>
struct Count<0, i...> {
  using type = Indices<i...>;
};

// In each 128-bit part of x and y, the lower (upper) halves interleaved: x0 y0 x1 y1.
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

// Vec<T>::size rows of 16 bytes each, ld apart, as one column after the other, dst_ld apart.
template <class T>
FASTNN_INLINE void transpose16(const T* src, int64_t ld, T* dst, int64_t dst_ld) {
  using V = Vec<T>;
  using D = Vec<double>::Raw;
  constexpr int part = 16 / sizeof(T);
  using Part = typename Native<T, part>::unaligned;
  auto at = [&](int row) { return *reinterpret_cast<const Part*>(src + row * ld); };
  typename V::Raw r[part];
#pragma GCC unroll 4
  for (int q = 0; q < part; ++q) {
    if constexpr (V::size == part) {
      r[q] = (typename V::Raw)at(q);
    } else {
      T* lanes = reinterpret_cast<T*>(&r[q]);
#pragma GCC unroll 4
      for (int l = 0; l < V::size / part; ++l)
        *reinterpret_cast<Part*>(lanes + l * part) = at(l * part + q);
    }
  }
  auto put = [&](int column, typename V::Raw x) { V::of(x).store(dst + column * dst_ld); };
  if constexpr (part == 2) {
    put(0, interleave<false>(r[0], r[1]));
    put(1, interleave<true>(r[0], r[1]));
  } else {
    using Raw = typename V::Raw;
    const D a = (D)interleave<false>(r[0], r[1]), b = (D)interleave<true>(r[0], r[1]);
    const D c = (D)interleave<false>(r[2], r[3]), d = (D)interleave<true>(r[2], r[3]);
    put(0, (Raw)interleave<false>(a, c));
    put(1, (Raw)interleave<true>(a, c));
    put(2, (Raw)interleave<false>(b, d));
    put(3, (Raw)interleave<true>(b, d));
  }
}

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
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        V::load(src + q * NR).store(to + q * NR * k);
        V::load(src + q * NR + V::size).store(to + q * NR * k + V::size);
      }
    }
  }
  return j;
}

template <class T>
void pack_right(T* dst, int64_t k, int64_t n, const Right<T>& b, int64_t p0, int64_t kb, int64_t j0,
                int64_t nb) {
  constexpr int64_t NR = kPanel<T>;
  constexpr int V = Vec<T>::size;
  for (int64_t p = p0; p < p0 + kb;) {
    // The block of kBlockK rows that p lies in, and how many of its rows are ours.
    const int64_t block = p / kBlockK * kBlockK;
    const int64_t kc = k - block < kBlockK ? k - block : kBlockK;
    const int64_t rows = block + kc < p0 + kb ? block + kc - p : p0 + kb - p;
    T* base = dst + block * padded_columns<T>(n) + (p - block) * NR;
    const Right<T> from = b.at(p - p0, 0);
    int64_t j = 0;
    if (b.layout == Right<T>::kRowMajor && rows == kc && j0 % NR == 0)
      j = pack_panels(base + j0 * kc, from, kc, nb);
    for (; j < nb; j += V) {
      T* half = base + (j0 + j) / NR * NR * kc + (j0 + j) % NR;
      pack_columns(half, from.at(0, j), rows, nb - j < V ? nb - j : V);
    }
    // The other half of the last panel.
    if (j0 + nb == n && (n + V - 1) / V % 2) {
      T* half = base + n / NR * NR * kc + V;
      for (int64_t q = 0; q < rows; ++q) Vec<T>(T(0)).store(half + q * NR);
    }
    p += rows;
  }
}

// ---- a ----------------------------------------------------------------------------------------

// Rows [i, i+m) of a transposed a, for k in [p, p+kc), in panels.
template <class T>
void pack_left(T* dst, const Left<T>& a, int64_t i, int64_t m, int64_t p, int64_t kc) {
  using V = Vec<T>;
  // Whole vectors: what they write beyond a panel's row, the next row writes again.
  constexpr int kVectors = (kRows + V::size - 1) / V::size;
  constexpr int64_t kStrip = 16;  // rows of a at a time, so that each is read in one go
  for (int64_t q = 0; q < kc; q += kStrip) {
    const int64_t strip = kc - q < kStrip ? kc - q : kStrip;
    int64_t at[kStrip];
    for (int64_t s = 0; s < strip; ++s) at[s] = a.strided(p + q + s);
    for (int64_t r = 0; r < m; r += kRows) {
      T* to = dst + r * kc + q * kRows;
      const int64_t rows = m - r < kRows ? m - r : kRows;
      // Reading whole vectors must stay inside a's rows, and writing them inside this strip's part.
      const bool whole = a.run == kWhole && r + kVectors * V::size <= m;
      const int64_t fast = whole ? strip - 1 : 0;
      for (int64_t s = 0; s < fast; ++s) {
        const T* from = a.data + at[s] + i + r;
        for (int v = 0; v < kVectors; ++v)
          V::load(from + v * V::size).store(to + s * kRows + v * V::size);
      }
      for (int64_t s = fast; s < strip; ++s)
        for (int64_t u = 0; u < kRows; ++u)
          to[s * kRows + u] = u < rows ? a.data[at[s] + a.contiguous(i + r + u)] : T(0);
    }
  }
}

}  // namespace fastnn::FASTNN_ISA
