// Depthwise convolution: every channel has its own window, so the lanes run over channels and no
// product of matrices is left. x (n, h, w, c), W (r, s, c*m), y (n, p, q, c*m); output channel j
// looks at input channel j / m. Memory-bound: 4 neighbouring outputs share each tap's weights.
#pragma once
#include "cpu/conv_gemm.h"

namespace fastnn::FASTNN_ISA {
namespace {

struct DepthwiseShape {
  int64_t n, c, m;
  Axis h, w;
  int64_t wide() const { return c * m; }
};

// Loads of x for the output channels from j on: with m > 1 each channel stands in m lanes.
template <class T>
struct Spread {
  using V = Vec<T>;
  int64_t m, channels;
  int64_t first;  // input channel of the first lane
  typename V::Int from;

  FASTNN_INLINE Spread(int64_t m, int64_t channels, int64_t j)
      : m(m), channels(channels), first(m == 1 ? j : j / m) {
    if (m == 1) return;
    // Division by m < 8 as a product, which is exact for half numbers this small.
    const float lane = (float)(j - first * m) + 0.5f, part = 1.0f / (float)m;
    for (int i = 0; i < V::size; ++i) from[i] = (typename V::Lane)((lane + (float)i) * part);
  }
  FASTNN_INLINE V operator()(const T* pixel) const {
    const V x = V::load_n(pixel + first, channels - first);
    return m == 1 ? x : V::of(__builtin_shuffle(x.v, from));
  }
};

// Outputs on a lattice, as in conv_gemm.h: y on (h.first + p*h.step, w.first + q*w.step) from
// windows over x. `sum_lanes`: x is wide and y is not (the gradient of the input with m > 1).
template <class T, class Epilogue>
struct DepthwisePart {
  DepthwiseShape s;
  Lattice h, w;
  const T* x;
  const T* weights;
  const T* bias;
  T* y;
  int64_t y_h, y_w;
  bool backward;
  Epilogue epilogue;

  int64_t x_channels() const { return backward ? s.wide() : s.c; }
  int64_t y_channels() const { return backward ? s.c : s.wide(); }

  void run() const {
    const int64_t lines = s.n * h.axis.out;
    if (lines <= 0 || w.axis.out <= 0 || s.wide() <= 0) return;
    const int64_t work = w.axis.out * s.wide() * (h.axis.taps * w.axis.taps + 1);
    pieces(lines, larger(smaller(32768 / (work + 1), lines / 16), 1),
           [&](int64_t begin, int64_t end) {
             if (team::broken_off()) return;
             for (int64_t line = begin; line < end; ++line) this->line(line);
           });
  }

  void line(int64_t line) const {
    const int64_t image = line / h.axis.out, p = line % h.axis.out;
    const T* from = x + image * h.axis.in * w.axis.in * x_channels();
    T* to = y + ((image * y_h + h.first + p * h.step) * y_w + w.first) * y_channels();
    const Range rows = h.axis.taps_inside(p), whole = w.axis.whole_windows();
    for (int64_t q = 0; q < w.axis.out;) {
      const bool inside = q >= whole.begin && q < whole.end;
      const Range cols = inside ? Range{0, w.axis.taps} : w.axis.taps_inside(q);
      T* out = to + q * w.step * y_channels();
      if (inside && q + 4 <= whole.end) {
        outputs<4>(from, p, q, rows, cols, out);
        q += 4;
      } else {
        outputs<1>(from, p, q, rows, cols, out);
        ++q;
      }
    }
  }

  template <int Q>
  FASTNN_INLINE void outputs(const T* image, int64_t p, int64_t q, Range rows, Range cols,
                             T* out) const {
    const int64_t y_step = w.step * y_channels();
    int64_t j = 0;
    if (s.m == 1) {
      for (; j + 2 * Vec<T>::size <= s.c; j += 2 * Vec<T>::size)
        channels<Q, 2, true>(image, p, q, rows, cols, out, y_step, j);
    } else if (backward) {
      for (int i = 0; i < Q; ++i) {
        if (bias)
          copy_elements(out + i * y_step, bias, s.c);
        else
          zero_elements(out + i * y_step, s.c);
      }
    }
    for (; j < s.wide(); j += Vec<T>::size)
      channels<Q, 1, false>(image, p, q, rows, cols, out, y_step, j);
    for (int i = 0; i < Q; ++i) epilogue(out + i * y_step, 0, 0, y_channels());
  }

  template <int Q, int NV, bool kWhole>
  FASTNN_INLINE void channels(const T* image, int64_t p, int64_t q, Range rows, Range cols, T* out,
                              int64_t y_step, int64_t j) const {
    using V = Vec<T>;
    const int64_t left = s.wide() - j, pitch = x_channels(), x_step = w.axis.stride * pitch;
    const bool fold = backward && s.m > 1;
    const Spread<T> spread(backward || kWhole ? 1 : s.m, x_channels(), j);
    const Spread<T> of(fold ? s.m : 1, s.c, j);  // the channel of a lane
    V acc[Q][NV];
#pragma GCC unroll 4
    for (int i = 0; i < Q; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v)
        acc[i][v] = !bias || fold ? V(T(0))
                    : kWhole      ? V::load(bias + j + v * V::size)
                                  : V::load_n(bias + j, left);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const T* at = image + (h.axis.at(p, r) * w.axis.in + w.axis.at(q, cols.begin)) * pitch;
      const T* tap =
          weights +
          ((h.tap + r * h.tap_step) * s.w.taps + w.tap + cols.begin * w.tap_step) * s.wide() + j;
      for (int64_t t = cols.begin; t < cols.end; ++t) {
        V weight[NV];
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v)
          weight[v] = kWhole ? V::load(tap + v * V::size) : V::load_n(tap, left);
#pragma GCC unroll 4
        for (int i = 0; i < Q; ++i)
#pragma GCC unroll 2
          for (int v = 0; v < NV; ++v)
            acc[i][v] =
                fma(kWhole ? V::load(at + i * x_step + j + v * V::size) : spread(at + i * x_step),
                    weight[v], acc[i][v]);
        at += w.axis.dilation * pitch;
        tap += w.tap_step * s.wide();
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < Q; ++i) {
      T* to = out + i * y_step;
      if (fold) {
        T sums[V::size];
        acc[i][0].store(sums);
        const int64_t lanes = smaller(left, V::size);
        for (int64_t l = 0; l < lanes; ++l) to[of.first + of.from[l]] += sums[l];
        continue;
      }
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
        if (kWhole)
          acc[i][v].store(to + j + v * V::size);
        else
          acc[i][v].store_n(to + j, left);
      }
    }
  }
};

template <class T, class Epilogue>
void depthwise_forward(DepthwiseShape s, const T* x, const T* w, const T* bias, T* y,
                       Epilogue epilogue) {
  DepthwisePart<T, Epilogue>{
      s,       Lattice::forward(s.h), Lattice::forward(s.w), x, w, bias, y, s.h.out, s.w.out, false,
      epilogue}
      .run();
}

template <class T, class Epilogue>
void depthwise_input_grad(DepthwiseShape s, const T* dy, const T* w, const T* bias, T* dx,
                          Epilogue epilogue) {
  for (int64_t a = 0; a < smaller(s.h.stride, s.h.in); ++a)
    for (int64_t b = 0; b < smaller(s.w.stride, s.w.in); ++b)
      DepthwisePart<T, Epilogue>{s,
                                 Lattice::backward(s.h, a),
                                 Lattice::backward(s.w, b),
                                 dy,
                                 w,
                                 bias,
                                 dx,
                                 s.h.in,
                                 s.w.in,
                                 true,
                                 epilogue}
          .run();
}

// ---- dW -----------------------------------------------------------------------------------------

// Vectors of channels side by side: each tap of each is a chain of additions. Code for doubles is
// kept small.
template <class T>
inline constexpr int kDepthwiseVectors = sizeof(T) == 8           ? 1
                                         : FASTNN_VEC_BYTES == 64 ? 4
                                                                  : 2;

// dw[r, s.., j..] += sum over the outputs of one line, for kTaps neighbouring s and NV vectors of
// channels at once. Not kWhole: the last of them are not all there. kSpread: m > 1.
template <int kTaps, int NV, bool kWhole, bool kSpread, class T>
FASTNN_OUTLINE void depthwise_taps(const DepthwiseShape& d, const T* x_row, const T* dy_row,
                                   int64_t s, int64_t j, T* dw) {
  using V = Vec<T>;
  const int64_t left = d.wide() - j;
  const Spread<T> spread(kSpread ? d.m : 1, d.c, j);
  auto load = [&](const T* at, int v) {
    return kWhole ? V::load(at + v * V::size) : V::load_n(at + v * V::size, left - v * V::size);
  };
  auto load_x = [&](const T* pixel, int v) { return kSpread ? spread(pixel) : load(pixel + j, v); };
  V acc[kTaps][NV];
  Range common = {0, d.w.out};
#pragma GCC unroll 4
  for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[t][v] = V(T(0));
    const Range seen = d.w.outputs_inside(s + t);
    common = {larger(common.begin, seen.begin), smaller(common.end, seen.end)};
  }
  if (common.size() == 0) common.begin = common.end = 0;
  // Outputs that some of the taps see beyond the edge.
#pragma GCC unroll 4
  for (int t = 0; t < kTaps; ++t) {
    const Range seen = d.w.outputs_inside(s + t);
    for (int64_t q = seen.begin; q < seen.end; ++q) {
      if (q == common.begin) q = common.end;
      if (q >= seen.end) break;
      const T* x = x_row + d.w.at(q, s + t) * d.c;
      const T* dy = dy_row + q * d.wide() + j;
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[t][v] = fma(load_x(x, v), load(dy, v), acc[t][v]);
    }
  }
  const int64_t x_step = d.w.stride * d.c, tap_step = d.w.dilation * d.c;
  const T* x = x_row + (common.begin < common.end ? d.w.at(common.begin, s) * d.c : 0);
  const T* dy = dy_row + common.begin * d.wide() + j;
  for (int64_t q = common.begin; q < common.end; ++q, x += x_step, dy += d.wide()) {
    V g[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) g[v] = load(dy, v);
#pragma GCC unroll 4
    for (int t = 0; t < kTaps; ++t)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[t][v] = fma(load_x(x + t * tap_step, v), g[v], acc[t][v]);
  }
#pragma GCC unroll 4
  for (int t = 0; t < kTaps; ++t)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      T* to = dw + t * d.wide() + j;
      const V sum = load(to, v) + acc[t][v];
      if (kWhole)
        sum.store(to + v * V::size);
      else
        sum.store_n(to + v * V::size, left - v * V::size);
    }
}

// The same for all taps of a kernel row.
template <int NV, bool kWhole, bool kSpread, class T>
FASTNN_INLINE void depthwise_row(const DepthwiseShape& d, const T* x_row, const T* dy_row,
                                 int64_t j, T* dw) {
  for (int64_t s = 0; s < d.w.taps;) {
    const int64_t rest = d.w.taps - s;
    T* to = dw + s * d.wide();
    if (rest == 1) {
      depthwise_taps<1, NV, kWhole, kSpread>(d, x_row, dy_row, s, j, to);
      return;
    }
    if (rest == 2 || rest == 4) {
      depthwise_taps<2, NV, kWhole, kSpread>(d, x_row, dy_row, s, j, to);
      s += 2;
    } else {
      depthwise_taps<3, NV, kWhole, kSpread>(d, x_row, dy_row, s, j, to);
      s += 3;
    }
  }
}

// Lines in chunks cut by problem size; their sums are added in order.
template <class T>
void depthwise_weight_grad(DepthwiseShape d, const T* x, const T* dy, T* dw) {
  using V = Vec<T>;
  const int64_t size = d.h.taps * d.w.taps * d.wide(), lines = d.n * d.h.out;
  if (size <= 0) return;
  const int64_t room = (int64_t)(team::kSharedBytes / sizeof(T)) / size;
  const int64_t chunks = larger(smaller(smaller(lines, room), 32), 1);
  // Without room for two sets of sums, the channels are what is shared.
  const int64_t width = chunks > 1 ? d.wide() : 8 * V::size, strips = ceil_div(d.wide(), width);
  T* sums = chunks == 1 ? dw : static_cast<T*>(team::shared_scratch(team::kSharedBytes));
  if (chunks > 1) team::barrier();
  tiles(chunks * strips, [&](int64_t t) {
    const int64_t chunk = t / strips, j0 = t % strips * width, j1 = smaller(j0 + width, d.wide());
    T* to = sums + chunk * size;
    for (int64_t tap = 0; tap < d.h.taps * d.w.taps; ++tap)
      zero_elements(to + tap * d.wide() + j0, j1 - j0);
    for (int64_t line = lines * chunk / chunks; line < lines * (chunk + 1) / chunks; ++line) {
      if (team::broken_off()) return;
      const int64_t image = line / d.h.out, p = line % d.h.out;
      const Range rows = d.h.taps_inside(p);
      const T* dy_row = dy + line * d.w.out * d.wide();
      for (int64_t j = j0; j < j1;) {
        constexpr int kMost = kDepthwiseVectors<T>;
        const int64_t vectors = d.m > 1 ? 1 : smaller(ceil_div(j1 - j, V::size), kMost);
        const bool whole = vectors == kMost && j + kMost * V::size <= j1;
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          const T* x_row = x + (image * d.h.in + d.h.at(p, r)) * d.w.in * d.c;
          T* dw_row = to + r * d.w.taps * d.wide();
          if (d.m > 1)
            depthwise_row<1, false, true>(d, x_row, dy_row, j, dw_row);
          else if (vectors == 1)
            depthwise_row<1, false, false>(d, x_row, dy_row, j, dw_row);
          else if constexpr (kMost > 1) {
            if (whole)
              depthwise_row<kMost, true, false>(d, x_row, dy_row, j, dw_row);
            else if (vectors == 2)
              depthwise_row<2, false, false>(d, x_row, dy_row, j, dw_row);
            else
              depthwise_row<kMost, false, false>(d, x_row, dy_row, j, dw_row);
          }
        }
        j += vectors * V::size;
      }
    }
  });
  if (chunks == 1) return;
  team::barrier();
  pieces(size, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += V::size) {
      V sum = V::load_n(sums + i, end - i);
      for (int64_t z = 1; z < chunks; ++z) sum += V::load_n(sums + z * size + i, end - i);
      sum.store_n(dw + i, end - i);
    }
  });
  team::barrier();
}

}  // namespace
}  // namespace fastnn::FASTNN_ISA
