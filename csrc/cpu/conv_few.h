// Sums over windows with few output channels, as in the last layer of a decoder or the gradient of
// an image: a product with so few columns would leave most lanes empty. Instead each input pixel is
// multiplied by the weights of all taps,
//     Z[(tap, channel), pixel] = W^T x^T,
// and each output then adds up, lanes along q, what its taps hold:
//     y[p, q, channel] = b + sum over taps (i,j) of Z[(i,j,channel), (at(p,i), at(q,j))].
// For stride 1, which is what every part of an input gradient has.
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
  g.n = pixels;
  g.k = v.c;
  g.a.data = weights;
  g.a.ld = v.c;
  g.b = Right<T>::column_major(v.x + (image * v.h.in + top) * v.w.in * v.pitch, v.pitch);
  g.c = z;
  g.ldc = pixels;
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
              z + ((i * v.w.taps + j) * k + c) * pixels + (v.h.at(p, i) - top) * v.w.in + shift;
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

}  // namespace
}  // namespace fastnn::FASTNN_ISA
