// Sums over windows with few output channels, as in the last layer of a decoder or the gradient of
// an image: a product with so few columns would leave most lanes empty. Instead each input pixel is
// multiplied by the weights of all taps,
//     Z[(tap, channel), pixel] = W^T x^T,
// and each output then adds up, lanes along q, what its taps hold:
//     y[p, q, channel] = b + sum over taps (i,j) of Z[(i,j,channel), (at(p,i), at(q,j))].
// For stride 1, which is what every part of an input gradient has.
//
// The gradient of such weights has its lanes along the input channels instead.
#pragma once
#include "cpu/conv_window.h"

namespace fastnn::FASTNN_ISA {
namespace {

// Lines of one image, at least one, that the scratch has room for; 0 if there is none.
template <class T>
int64_t few_lines(const Windows<T>& v, int64_t k) {
  const int64_t taps = v.h.taps * v.w.taps, room = (int64_t)(kGemmScratch / sizeof(T));
  const int64_t rest = room - taps * k * v.c - k * (v.w.out + Vec<T>::size);
  if (v.h.stride != 1 || v.w.stride != 1 || k > Vec<T>::size / 2 || v.c < 8 || taps < 2) return 0;
  if (taps > 1024 || v.w.in < 1 || rest <= 0) return 0;
  const int64_t rows = rest / (taps * k) / v.w.in;
  return smaller(larger(rows - v.h.extent() + 1, 0), v.h.out);
}

// tap(i, j) is W (c, k) of a tap; out(p) where line p of y starts, its columns `step` apart.
template <class T, class Tap, class OutAt, class Epilogue>
void few_outputs(const Windows<T>& v, int64_t k, int64_t image, int64_t p0, int64_t lines,
                 const T* bias, Tap tap, OutAt out, int64_t step, Epilogue epilogue) {
  using V = Vec<T>;
  const int64_t taps = v.h.taps * v.w.taps;
  T* weights = static_cast<T*>(team::local_scratch(kGemmScratch));
  T* line = weights + taps * k * v.c;
  T* z = line + k * (v.w.out + V::size);
  for (int64_t t = 0; t < taps; ++t) {
    const Right<T> w = tap(t / v.w.taps, t % v.w.taps);
    const bool rows = w.layout == Right<T>::kRowMajor;
    for (int64_t j = 0; j < k; ++j)
      for (int64_t c = 0; c < v.c; ++c)
        weights[(t * k + j) * v.c + c] = w.data[rows ? c * w.ld + j : j * w.ld + c];
  }
  // The rows of the image that these lines see.
  const int64_t top = larger(v.h.at(p0, 0), 0),
                end = smaller(v.h.at(p0 + lines - 1, v.h.taps - 1) + 1, v.h.in);
  const int64_t pixels = larger(end - top, 0) * v.w.in;
  Gemm<T> g;
  g.m = taps * k;
  // A single pixel would make it another kind of product, of other roundings; and how many there
  // are in a part hangs on the size of the team. So it is there twice.
  g.n = pixels == 1 ? 2 : pixels;
  g.k = v.c;
  g.a.data = weights;
  g.a.ld = v.c;
  g.b = Right<T>::column_major(v.x + (image * v.h.in + top) * v.w.in * v.pitch,
                               pixels == 1 ? 0 : v.pitch);
  g.c = z;
  g.ldc = g.n;
  gemm_serial(g);
  for (int64_t p = p0; p < p0 + lines; ++p) {
    T* to = out(p);
    const Range rows = v.h.taps_inside(p);
    for (int64_t c = 0; c < k; ++c) {
      T* sum = line + c * v.w.out;
      for (int64_t q = 0; q < v.w.out; q += V::size)
        V(bias ? bias[c] : T(0)).store_n(sum + q, v.w.out - q);
      for (int64_t i = rows.begin; i < rows.end; ++i)
        for (int64_t j = 0; j < v.w.taps; ++j) {
          const int64_t shift = v.w.at(0, j);  // at(q, j) is q + shift
          const Range cols = {larger(-shift, 0), smaller(v.w.in - shift, v.w.out)};
          const T* from =
              z + ((i * v.w.taps + j) * k + c) * g.ldc + (v.h.at(p, i) - top) * v.w.in + shift;
          for (int64_t q = cols.begin; q < cols.end; q += V::size) {
            const int64_t left = cols.end - q;
            (V::load_n(sum + q, left) + V::load_n(from + q, left)).store_n(sum + q, left);
          }
        }
      epilogue(sum, 0, 0, v.w.out);
      for (int64_t q = 0; q < v.w.out; ++q) to[q * step + c] = sum[q];
    }
  }
}

// ---- dW -----------------------------------------------------------------------------------------

// True where the k output channels would leave most lanes of a product empty, but c inputs do not.
template <class T>
bool is_few(int64_t c, int64_t k) {
  return k <= Vec<T>::size / 2 && c >= Vec<T>::size / 2;
}

// dw[place + lane, 0 .. NK) (+)= sum over the outputs of a band of x[place + lane] dy[0 .. NK), for
// MR places of a vector of input channels each, `lanes` of them there.
template <int MR, int NK, class T>
__attribute__((noinline)) void few_sums(const Band<T>& band, const int64_t* places, int64_t lines,
                                        int64_t cols, const T* dy, int64_t ld, int64_t lanes,
                                        T* const* dw, bool first) {
  using V = Vec<T>;
  V acc[MR][NK];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int k = 0; k < NK; ++k) acc[i][k] = V(T(0));
  for (int64_t l = 0; l < lines; ++l) {
    const T* x[MR];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) x[i] = band.rows.data + band.rows.group_at[l] + places[i];
    int64_t at = 0;
    for (int64_t q = 0; q < cols; ++q, at += band.rows.ld, dy += ld) {
      V g[NK];
#pragma GCC unroll 2
      for (int k = 0; k < NK; ++k) g[k] = V(dy[k]);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const V a = V::load_n(x[i] + at, lanes);
#pragma GCC unroll 2
        for (int k = 0; k < NK; ++k) acc[i][k] = fma(a, g[k], acc[i][k]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int k = 0; k < NK; ++k) {
      T sum[V::size];
      acc[i][k].store(sum);
      for (int64_t c = 0; c < lanes; ++c) {
        T& to = dw[i][c * ld + k];
        to = first ? sum[c] : to + sum[c];
      }
    }
}

template <int MR, class T>
FASTNN_INLINE void few_sums_of(int64_t rows, int64_t width, const Band<T>& band,
                               const int64_t* places, int64_t lines, int64_t cols, const T* dy,
                               int64_t ld, int64_t lanes, T* const* dw, bool first) {
  if (rows != MR) {
    if constexpr (MR > 1)
      few_sums_of<MR - 1>(rows, width, band, places, lines, cols, dy, ld, lanes, dw, first);
  } else if (width > 1) {
    few_sums<MR, 2>(band, places, lines, cols, dy, ld, lanes, dw, first);
  } else {
    few_sums<MR, 1>(band, places, lines, cols, dy, ld, lanes, dw, first);
  }
}

// dw (taps, v.c, k): taps `tap_step` apart, rows ld apart as those of dy.
template <class T>
void few_weight_grad(const Windows<T>& v, const Band<T>& band, int64_t lines, int64_t cols,
                     const T* dy, int64_t ld, int64_t k, T* dw, int64_t tap_step, bool first) {
  constexpr int kBlock = kRows < 8 ? kRows : 8;
  const int64_t taps = v.h.taps * v.w.taps, blocks = ceil_div(taps, kBlock);
  for (int64_t c = 0; c < v.c; c += Vec<T>::size)
    for (int64_t b = 0; b < blocks; ++b) {
      const auto [begin, end] = nth_part(taps, blocks, b);
      const int64_t count = end - begin;
      int64_t places[kBlock];
      T* to[kBlock];
      for (int64_t i = 0; i < count; ++i) {
        const int64_t tap = begin + i;
        places[i] = tap / v.w.taps * band.tap_row + tap % v.w.taps * band.tap_col + c;
        to[i] = dw + tap * tap_step + c * ld;
      }
      const int64_t lanes = smaller(Vec<T>::size, v.c - c);
      for (int64_t j = 0; j < k; j += 2) {
        T* at[kBlock];
        for (int64_t i = 0; i < count; ++i) at[i] = to[i] + j;
        few_sums_of<kBlock>(count, k - j, band, places, lines, cols, dy + j, ld, lanes, at, first);
      }
    }
}

}  // namespace
}  // namespace fastnn::FASTNN_ISA
