// The simple recurrent layer, h_t = act(x_t W + b + h_{t-1} U) (Elman 1990, "Finding structure in
// time"), and what all recurrent layers need beside their walk: products gate by gate, and zeros in
// place of masked steps. The walk itself is in recurrent.h.
//
// The backward pass leaves dz, the gradient of x W + b, and hp, the state before each step as its
// gates saw it, in x's order of time. From these, dW = x^T dz, dU = hp^T dz, db = sum dz and
// dx = dz W^T are large products over all steps.
#include "cpu/recurrent.h"

namespace fastnn::FASTNN_ISA {
namespace {

using namespace recurrent;

template <class T>
void rnn_forward(const Extent& e, const Input<T>& input, const T* u, const T* h0,
                 const uint8_t* mask, const StateDropout<T>& drop, Act act, bool keep, T* z, T* h,
                 T* hn) {
  const Input<T> in = input_of_walk(e, input, z);
  const Kernel<T> kernel = pack_gates(u, e.n, 1, in);
  const States<T> states = {h, h0, e.t, e.n};
  T* sums = (T*)team::local_scratch(kGemmScratch);
  walk<T>(e, e.t, 1, in.d, [&](const Part& p, int64_t step, int) {
    const int64_t time = e.time(step);
    T *room = sums + p.rows * p.units, *from_input = room + p.rows * e.n;
    recurrent_sums(e, p, kernel, states, step, drop, (const T*)nullptr, 0, 1, sums, room);
    if (in.x) input_sums(e, p, kernel, in, time, from_input, from_input + p.rows * e.n);
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      const T* before = states.before(row, step);
      T* to = states.of(row, step) + j;
      if (step + 1 < e.t) {
        if (keep || !in.x) fetch(z + (row * e.t + e.time(step + 1)) * e.n + j, count);
        fetch(to + e.n, count);
      }
      T* zt = z + (row * e.t + time) * e.n + j;
      T* zx = in.x ? from_input + (row - p.row) * e.n + j : zt;
      T* kept = keep ? zt : zx;
      if (mask && !mask[row * e.t + time]) {
        scaled<T>(before ? before + j : nullptr, nullptr, to, count);
        if (zx != kept) scaled<T>(zx, nullptr, kept, count);
      } else {
        activate(act, sums + (row - p.row) * p.units + j - p.unit, zx, kept, to, count);
      }
      if (step == e.t - 1) scaled<T>(to, nullptr, hn + row * e.n + j, count);
    });
  });
  team::barrier();
}

template <class T>
void rnn_backward(const Extent& e, const T* u, const T* z, const T* h, const T* h0,
                  const uint8_t* mask, const StateDropout<T>& drop, Act act, const T* dy,
                  const T* dhn, T* dz, T* hp, T* dh) {
  const Planes planes = {1, 1};
  const Kernel<T> kernel = pack_planes(u, e.n, planes);
  const States<const T> states = {h, h0, e.t, e.n};
  T* room = (T*)team::local_scratch(kGemmScratch);
  walk<T>(e, e.t + 1, 1, 0, [&](const Part& p, int64_t back, int) {
    const int64_t step = e.t - 1 - back;
    if (back == 0) {
      begin_gradient(p, e.n, dhn, dh);
    } else {
      const T* from = dz + (p.row * e.t + e.time(step + 1)) * e.n;
      pull_back(e, p, kernel, planes, 1, drop, from, e.t * e.n, dh, room);
    }
    if (step < 0) return;
    const int64_t time = e.time(step);
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      using V = Vec<T>;
      const int64_t at = (row * e.t + time) * e.n + j;
      const T *before = states.before(row, step), *scale = drop.at(0, row);
      const T* later = dy ? dy + (row * e.t + step) * e.n + j : nullptr;
      scaled<T>(before ? before + j : nullptr, scale ? scale + j : nullptr, hp + at, count);
      if (step) {
        const int64_t next = (row * e.t + e.time(step - 1)) * e.n + j;
        fetch(z + next, count);
        fetch(hp + next, count);
        fetch(dz + next, count);
        if (dy) fetch(dy + (row * e.t + step - 1) * e.n + j, count);
        if (step > 1) fetch(h + (row * e.t + step - 2) * e.n + j, count);
      }
      T* d = dh + row * e.n + j;
      const bool masked = mask && !mask[row * e.t + time];
      alignas(64) T y[kStrip], slope[kStrip];
      if (!masked) differentiate(act, true, z + at, y, slope, count);
      vectors<T>(count, [&](int64_t i, int64_t left) {
        V g = V::load_n(d + i, left);
        if (later) g += V::load_n(later + i, left);
        (masked ? V(T(0)) : g * V::load_n(slope + i, left)).store_n(dz + at + i, left);
        (masked ? g : V(T(0))).store_n(d + i, left);
      });
    });
  });
  team::barrier();
}

// f(first column, end column, plane) for the gates of each plane: x (planes, m, k) holds what the
// gates in w (k, gates*n/gates) or z (m, n) multiply.
template <class F>
FASTNN_INLINE void by_plane(int64_t count, int64_t gates, int64_t n, F f) {
  const Planes planes = {count, gates};
  const int64_t units = n / gates;
  for (int64_t p = 0; p < count; ++p) f(planes.first(p) * units, planes.end(p) * units, p);
}

FASTNN_INLINE bool gates_fit(int64_t planes, int64_t gates, int64_t n) {
  if (planes >= 1 && planes <= gates && n % gates == 0) return true;
  team::fault("planes, gates and columns do not fit");
  return false;
}

}  // namespace

void simple_rnn(In x, In w, In bias, InOut z, In u, In h0, In mask, In drop, Out h, Out hn,
                int64_t activation, double alpha, bool reverse, bool keep) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 1, reverse};
  if (!known(activation, "activation") || !input_fits(x, w) || e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    if (e.t == 0) return copy_state(e.b, e.n, or_null<T>(h0), hn.data<T>());
    const Input<T> in = {or_null<T>(x), or_null<T>(w), or_null<T>(bias), x ? x.dim(2) : 0};
    rnn_forward<T>(e, in, u.data<T>(), or_null<T>(h0), or_null<uint8_t>(mask),
                   {or_null<T>(drop), 1, e.b, e.n}, {(Activation)activation, alpha}, keep,
                   z.data<T>(), h.data<T>(), hn.data<T>());
  });
}

void simple_rnn_grad(In z, In u, In h, In h0, In mask, In drop, In dy, In dhn, Out dz, Out hp,
                     Out dh0, int64_t activation, double alpha, bool reverse) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 1, reverse};
  if (!known(activation, "activation") || e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    if (e.t == 0) return copy_state(e.b, e.n, or_null<T>(dhn), dh0.data<T>());
    rnn_backward<T>(e, u.data<T>(), z.data<T>(), h.data<T>(), or_null<T>(h0),
                    or_null<uint8_t>(mask), {or_null<T>(drop), 1, e.b, e.n},
                    {(Activation)activation, alpha}, or_null<T>(dy), or_null<T>(dhn), dz.data<T>(),
                    hp.data<T>(), dh0.data<T>());
  });
}

void gates_nn(In x, In w, In b, Out z, int64_t gates) noexcept {
  const int64_t planes = x.dim(0), k = x.cols(), n = w.cols(), m = z.rows();
  if (!gates_fit(planes, gates, n)) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    by_plane(planes, gates, n, [&](int64_t j, int64_t end, int64_t p) {
      gemm_with_scratch(Gemm<T>{.m = m,
                                .n = end - j,
                                .k = k,
                                .a = {.data = x.data<T>() + p * m * k, .ld = k},
                                .b = Right<T>::row_major(w.data<T>() + j, n),
                                .c = z.data<T>() + j,
                                .ldc = n,
                                .add = b ? b.data<T>() + j : nullptr,
                                .add_ld = 0});
    });
  });
}

void gates_nt(In dz, In w, Out dx, int64_t gates) noexcept {
  const int64_t planes = dx.dim(0), k = dx.cols(), n = w.cols(), m = dz.rows();
  if (!gates_fit(planes, gates, n)) return;
  with_float(dz.dtype(), [&](auto type) {
    using T = decltype(type);
    by_plane(planes, gates, n, [&](int64_t j, int64_t end, int64_t p) {
      gemm_with_scratch(Gemm<T>{.m = m,
                                .n = k,
                                .k = end - j,
                                .a = {.data = dz.data<T>() + j, .ld = n},
                                .b = Right<T>::column_major(w.data<T>() + j, n),
                                .c = dx.data<T>() + p * m * k,
                                .ldc = k});
    });
  });
}

void gates_tn(In x, In dz, Out dw, int64_t gates) noexcept {
  const int64_t planes = x.dim(0), k = x.cols(), n = dz.cols(), m = dz.rows();
  if (!gates_fit(planes, gates, n)) return;
  with_float(dz.dtype(), [&](auto type) {
    using T = decltype(type);
    by_plane(planes, gates, n, [&](int64_t j, int64_t end, int64_t p) {
      gemm_with_scratch(Gemm<T>{.m = k,
                                .n = end - j,
                                .k = m,
                                .a = {.data = x.data<T>() + p * m * k, .ld = k, .transposed = true},
                                .b = Right<T>::row_major(dz.data<T>() + j, n),
                                .c = dw.data<T>() + j,
                                .ldc = n,
                                .rounds = repays_rounding(k)});
    });
  });
}

void zero_masked(In x, In mask, Out y, bool reverse) noexcept {
  const int64_t b = x.dim(0), t = x.dim(1), n = x.dim(2);
  with_float(x.dtype(), [&](auto type) {
    using T = decltype(type);
    const auto* keep = mask.data<uint8_t>();  // a truth value is any byte but 0
    pieces(b * t, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / t, step = i % t;
        const bool kept = keep[row * t + (reverse ? t - 1 - step : step)];
        scaled<T>(kept ? x.data<T>() + i * n : nullptr, nullptr, y.data<T>() + i * n, n);
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
