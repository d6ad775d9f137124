// How a window slides along one axis: output o looks with tap t at input o*stride - pad +
// t*dilation, and what lies outside [0, in) is padding. Convolution and pooling, forward and
// backward, CPU and CUDA, all count with these few lines. Any `out` is allowed: padding is whatever
// lies outside. Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
#pragma once
#include <stdint.h>

#ifndef FASTNN_ISA
#define FASTNN_ISA scalar
#endif
#ifndef FASTNN_HD
#ifdef __CUDACC__
#define FASTNN_HD __host__ __device__
#else
#define FASTNN_HD
#endif
#endif
#define FASTNN_GEOMETRY FASTNN_HD inline __attribute__((always_inline))

namespace fastnn::FASTNN_ISA {

// ceil(a / b) for b > 0 and any a.
FASTNN_GEOMETRY int64_t ceil_div(int64_t a, int64_t b) { return a > 0 ? (a - 1) / b + 1 : a / b; }
FASTNN_GEOMETRY int64_t floor_div(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a - 1) / b) - 1;
}
FASTNN_GEOMETRY int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
FASTNN_GEOMETRY int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct Range {
  int64_t begin, end;
  FASTNN_GEOMETRY int64_t size() const { return end > begin ? end - begin : 0; }
};

struct Axis {
  int64_t in, out, taps, stride, pad, dilation;

  FASTNN_GEOMETRY int64_t at(int64_t o, int64_t t) const { return o * stride - pad + t * dilation; }
  // Inputs from the first to the last tap of one window.
  FASTNN_GEOMETRY int64_t extent() const { return (taps - 1) * dilation + 1; }
  // Taps of output o that see the input.
  FASTNN_GEOMETRY Range taps_inside(int64_t o) const {
    const int64_t first = at(o, 0);
    if (dilation == 1)  // without a division, in the inner loops of pooling
      return {smaller(larger(-first, 0), taps), smaller(larger(in - first, 0), taps)};
    return {first >= 0 ? 0 : smaller(ceil_div(-first, dilation), taps),
            first >= in ? 0 : smaller(floor_div(in - 1 - first, dilation) + 1, taps)};
  }
  // Outputs that see the input with tap t.
  FASTNN_GEOMETRY Range outputs_inside(int64_t t) const {
    const int64_t shift = t * dilation - pad;  // o*stride + shift in [0, in)
    return {larger(ceil_div(-shift, stride), 0),
            smaller(floor_div(in - 1 - shift, stride) + 1, out)};
  }
  // Outputs whose whole window lies inside the input.
  FASTNN_GEOMETRY Range whole_windows() const {
    const Range first = outputs_inside(0), last = outputs_inside(taps - 1);
    return {larger(first.begin, last.begin), smaller(first.end, last.end)};
  }
  // True if no output looks outside.
  FASTNN_GEOMETRY bool no_padding() const {
    return out == 0 || taps == 0 || (at(0, 0) >= 0 && at(out - 1, taps - 1) < in);
  }
  // False where an index would not fit; then nothing above may be asked.
  FASTNN_GEOMETRY bool fits() const {
    constexpr int64_t kLimit = INT64_C(1) << 40;
    return pad > -kLimit && pad < kLimit && stride < kLimit && dilation < kLimit && in < kLimit &&
           out < kLimit && taps < kLimit && (out == 0 || stride <= kLimit * 1024 / out) &&
           (taps == 0 || dilation <= kLimit * 1024 / taps);
  }
};

// The taps that touch one residue class of inputs, as a convolution of stride 1: that is how the
// gradient of a strided convolution needs no inserted zeros. Input first + j*stride collects
//     sum over i < taps of dy[j - pad + i*dilation] w[last - i*step],
// with the axis of that sum returned: in = outputs of the convolution, out = inputs of the class.
struct Phase {
  Axis axis;
  int64_t first, last, step;
};

FASTNN_GEOMETRY Phase phase_of(const Axis& a, int64_t first) {
  // Taps t with (first + pad - t*dilation) divisible by the stride: every stride/gcd-th.
  int64_t gcd = a.stride, rest = a.dilation % a.stride;
  while (rest) {
    const int64_t next = gcd % rest;
    gcd = rest;
    rest = next;
  }
  const int64_t step = a.stride / gcd;
  int64_t begin = 0;
  while (begin < step && begin < a.taps && (first + a.pad - begin * a.dilation) % a.stride) ++begin;
  Phase p;
  p.first = first;
  p.step = step;
  const int64_t count = begin < step && begin < a.taps ? (a.taps - 1 - begin) / step + 1 : 0;
  p.last = begin + (count - 1) * step;
  p.axis.in = a.out;
  p.axis.out = a.in > first ? (a.in - 1 - first) / a.stride + 1 : 0;
  p.axis.taps = count;
  p.axis.stride = 1;
  p.axis.dilation = a.dilation / gcd;
  p.axis.pad = count ? -(first + a.pad - p.last * a.dilation) / a.stride : 0;
  return p;
}

}  // namespace fastnn::FASTNN_ISA
