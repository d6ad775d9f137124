// Activation functions and their derivatives; the formulas are those of activations.h. A layer's
// activation is usually part of its matrix product; these kernels are for all other places.
#include "activations.h"

#include "cpu/broadcast.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kKinds =
    sizeof(activation::derivative_reads) / sizeof(activation::derivative_reads[0]);

}  // namespace

void activation_forward(In x, Out y, int64_t kind, double alpha) noexcept {
  if (kind >= kKinds) return team::fault("kind", kind, kKinds);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    with_activation(static_cast<Activation>(kind), alpha, [&](auto act) {
      map(x.data<T>(), y.data<T>(), x.size(), [&](auto v) { return act.forward(v); });
    });
  });
}

void activation_grad(In x, In y, In dy, Out dx, int64_t kind, double alpha) noexcept {
  if (kind >= kKinds) return team::fault("kind", kind, kKinds);
  const DerivativeReads reads = activation::derivative_reads[kind];
  if (reads == DerivativeReads::input && !x)
    return team::fault("this activation's derivative needs x");
  if (reads == DerivativeReads::output && !y)
    return team::fault("this activation's derivative needs y");
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    with_activation(static_cast<Activation>(kind), alpha, [&](auto act) {
      constexpr DerivativeReads reads = decltype(act)::reads;
      const T* known = reads == DerivativeReads::input    ? x.data<T>()
                       : reads == DerivativeReads::output ? y.data<T>()
                                                          : dy.data<T>();
      map(known, dy.data<T>(), dx.data<T>(), dy.size(),
          [&](auto v, auto d) { return d * act.derivative(v, v); });
    });
  });
}

// --- a slope that is learnt
// ------------------------------------------------------------------------ He et al., Delving deep
// into rectifiers, 2015.

void prelu(In x, In alpha, Out y) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    broadcast_binary<T, T>(
        x, alpha, y, []<bool kOneA, bool kOneB>(const T* x, const T* a, T* y, int64_t n) {
          map_run<kOneA, kOneB>(x, a, y, n,
                                [](auto v, auto s) { return select(v > Vec<T>(0), v, s * v); });
        });
  });
}

void prelu_grad(In x, In alpha, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    broadcast_binary<T, T>(
        x, alpha, dx, [&]<bool kOneA, bool kOneB>(const T* x, const T* a, T* d, int64_t n) {
          const T* seed = dy.data<T>() + (d - dx.data<T>());
          for (int64_t i = 0; i < n; i += V::size) {
            const int64_t m = n - i;
            const V slope = kOneB ? V(*a) : V::load_n(a + i, m),
                    v = kOneA ? V(*x) : V::load_n(x + i, m);
            const V derivative = select(v > V(0), V(1), select(v < V(0), slope, V(0)));
            (V::load_n(seed + i, m) * derivative).store_n(d + i, m);
          }
        });
  });
}

void prelu_slope_grad(In x, In dy, Out dalpha) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    map(x.data<T>(), dy.data<T>(), dalpha.data<T>(), x.size(),
        [](auto v, auto d) { return select(v > Vec<T>(0), Vec<T>(0), v * d); });
  });
}

}  // namespace fastnn::FASTNN_ISA
