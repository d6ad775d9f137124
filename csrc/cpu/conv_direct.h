// Windows of few channels, as in the first layer of a network on images: the contiguous pieces of a
// window are too short for a loop over them, so the inner loop runs over a table of the places of
// all its inputs. Blocks of outputs stay in registers, as in gemm_kernels.h.
#pragma once
#include "cpu/conv_window.h"

namespace fastnn::FASTNN_ISA {
namespace {

inline constexpr int64_t kMaxPlaces = kBlockK;  // inputs of a window

// True where a window is short, and its contiguous pieces too.
template <class T>
bool is_short(const Windows<T>& v) {
  return v.w.taps * v.c <= 16 && v.h.taps * v.w.taps * v.c <= kMaxPlaces;
}

template <class T>
struct Places {
  int64_t count = 0;
  int64_t at[kMaxPlaces];

  Places(const Windows<T>& v, const Band<T>& band) {
    for (int64_t r = 0; r < v.h.taps; ++r)
      for (int64_t s = 0; s < v.w.taps; ++s)
        for (int64_t c = 0; c < v.c; ++c) at[count++] = r * band.tap_row + s * band.tap_col + c;
  }
};

// kRows outputs from a panel of packed weights.
template <int NV, class T, class Epilogue>
__attribute__((noinline)) void direct_block(const T* const (&rows)[kRows], const Places<T>& places,
                                            const T* b, const T* bias, T* c, int64_t ldc,
                                            int64_t count, int64_t cols, Epilogue epilogue) {
  using V = Vec<T>;
  const T* a[kRows];
  V acc[kRows][NV];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    a[i] = rows[i];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = V(T(0));
  }
  for (int64_t p = 0; p < places.count; ++p, b += kPanel<T>) {
    const int64_t at = places.at[p];
    V w[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) w[v] = V::load(b + v * V::size);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const V x(a[i][at]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, w[v], acc[i][v]);
    }
  }
  V add[NV];
#pragma GCC unroll 2
  for (int v = 0; v < NV; ++v)
    add[v] = bias ? V::load_n(bias + v * V::size, cols - v * V::size) : V(T(0));
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    if (i >= count) break;
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v)
      epilogue.at_once(acc[i][v] + add[v]).store_n(c + i * ldc + v * V::size, cols - v * V::size);
  }
}

// c (lines*cols, n) = bias + windows x packed weights.
template <class T, class Epilogue>
void direct_tile(const Windows<T>& v, const Band<T>& band, int64_t lines, int64_t cols,
                 const T* packed, const T* bias, T* c, int64_t ldc, int64_t j0, int64_t j1,
                 Epilogue epilogue) {
  const Places<T> places(v, band);
  const int64_t outputs = lines * cols;
  int64_t line = 0, q = 0;
  const T* next = band.rows.data + band.rows.group_at[0];  // the inputs of the next output
  for (int64_t o = 0; o < outputs; o += kRows) {
    const int64_t count = smaller(kRows, outputs - o);
    const T* rows[kRows];
    for (int64_t i = 0; i < kRows; ++i) {
      if (i >= count) {
        rows[i] = rows[0];
        continue;
      }
      rows[i] = scalar_address(next);
      next += band.rows.ld;
      if (++q == cols && ++line < lines) {
        q = 0;
        next = band.rows.data + band.rows.group_at[line];
      }
    }
    T* to = c + o * ldc;
    for (int64_t j = j0; j < j1; j += kPanel<T>) {
      const int64_t width = smaller(kPanel<T>, j1 - j);
      const T* panel = packed + j * places.count;
      const T* add = bias ? bias + j : nullptr;
      if (width > Vec<T>::size)
        direct_block<2>(rows, places, panel, add, to + j, ldc, count, width, epilogue);
      else
        direct_block<1>(rows, places, panel, add, to + j, ldc, count, width, epilogue);
    }
    if (!epilogue.is_at_once())
      for (int64_t i = 0; i < count; ++i) epilogue(to + i * ldc + j0, o + i, j0, j1 - j0);
  }
}

// ---- dW -----------------------------------------------------------------------------------------

// dw[place, j..] (+)= sum over the outputs of a band of x[place] dy[j..], for MR places.
template <int MR, int NV, class T>
__attribute__((noinline)) void direct_sums(const Band<T>& band, const int64_t* places,
                                           int64_t lines, int64_t cols, const T* dy, int64_t ld,
                                           int64_t width, T* dw, bool first) {
  using V = Vec<T>;
  V acc[MR][NV];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = V(T(0));
  const bool whole = width >= NV * V::size;
  for (int64_t l = 0; l < lines; ++l) {
    const T* x[MR];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) x[i] = band.rows.data + band.rows.group_at[l] + places[i];
    int64_t at = 0;
    for (int64_t q = 0; q < cols; ++q, at += band.rows.ld, dy += ld) {
      V g[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v)
        g[v] = whole ? V::load(dy + v * V::size) : V::load_n(dy + v * V::size, width - v * V::size);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const V a(x[i][at]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[i][v] = fma(a, g[v], acc[i][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) {
      T* to = dw + i * ld + v * V::size;
      const int64_t left = width - v * V::size;
      (first ? acc[i][v] : V::load_n(to, left) + acc[i][v]).store_n(to, left);
    }
}

template <int MR, class T>
FASTNN_INLINE void direct_sums_of(int64_t rows, const Band<T>& band, const int64_t* places,
                                  int64_t lines, int64_t cols, const T* dy, int64_t ld,
                                  int64_t width, T* dw, bool first) {
  if (rows != MR) {
    if constexpr (MR > 1)
      direct_sums_of<MR - 1>(rows, band, places, lines, cols, dy, ld, width, dw, first);
  } else if (width > Vec<T>::size) {
    direct_sums<MR, 2>(band, places, lines, cols, dy, ld, width, dw, first);
  } else {
    direct_sums<MR, 1>(band, places, lines, cols, dy, ld, width, dw, first);
  }
}

// dw (taps*c, k_count), rows ld apart as those of dy.
template <class T>
void direct_weight_grad(const Windows<T>& v, const Band<T>& band, int64_t lines, int64_t cols,
                        const T* dy, int64_t ld, int64_t k_count, T* dw, bool first) {
  const Places<T> places(v, band);
  const int64_t blocks = ceil_div(places.count, kRows);
  for (int64_t j = 0; j < k_count; j += kPanel<T>)
    for (int64_t b = 0; b < blocks; ++b) {
      const auto [begin, end] = nth_part(places.count, blocks, b);
      direct_sums_of<kRows>(end - begin, band, places.at + begin, lines, cols, dy + j, ld,
                            smaller(kPanel<T>, k_count - j), dw + begin * ld + j, first);
    }
}

}  // namespace
}  // namespace fastnn::FASTNN_ISA
