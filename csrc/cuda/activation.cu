// Activation functions and their derivatives; the formulas are those of activations.h.
//
// The formula is chosen inside the kernel, once a thread: one kernel instead of one for each, which
// would take minutes to compile. Threads of a warp agree, and memory is what such a kernel waits
// for.
#include "activations.h"

#include "body.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kThreads = 256, kPerThread = 4;
constexpr int64_t kKinds = sizeof scalar::activation::derivative_reads / sizeof(DerivativeReads);

// Without dy: y = act(known); else y = dy act'(known). y may be any of the inputs.
template <class T, bool kGradient>
__global__ void __launch_bounds__(kThreads)
    activation_kernel(const T* known, const T* dy, T* y, std::int64_t n, Activation kind,
                      double alpha) {
  const std::int64_t first =
      static_cast<std::int64_t>(block_idx().x) * kThreads * kPerThread + thread_idx().x;
  scalar::with_activation(kind, alpha, [&](auto act) {
    for (int u = 0; u < kPerThread; ++u) {
      const std::int64_t i = first + u * kThreads;
      if (i >= n) break;
      if constexpr (kGradient)
        y[i] = dy[i] * act.derivative(known[i], known[i]);
      else
        y[i] = act.forward(known[i]);
    }
  });
}

}  // namespace

template <class T>
void activation_launch(const T* x, T* y, int64_t n, Activation kind, double alpha, Stream stream) {
  if (n == 0) return;
  launch<activation_kernel<T, false>>({grid_for(n, kThreads * kPerThread), kThreads, 0, stream}, x,
                                      static_cast<const T*>(nullptr), y, n, kind, alpha);
}

template <class T>
void activation_grad_launch(const T* x, const T* y, const T* dy, T* dx, int64_t n, Activation kind,
                            double alpha, Stream stream) {
  if (n == 0) return;
  const DerivativeReads reads = scalar::activation::derivative_reads[static_cast<int>(kind)];
  const T* known = reads == DerivativeReads::input ? x : reads == DerivativeReads::output ? y : dy;
  launch<activation_kernel<T, true>>({grid_for(n, kThreads * kPerThread), kThreads, 0, stream},
                                     known, dy, dx, n, kind, alpha);
}

#define FN_INSTANTIATE(T)                                                                     \
  template void activation_launch(const T*, T*, int64_t, Activation, double, Stream);         \
  template void activation_grad_launch(const T*, const T*, const T*, T*, int64_t, Activation, \
                                       double, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

void activation_forward(In x, Out y, int64_t kind, double alpha) noexcept {
  if (kind >= kKinds) return fault("activation_forward", "kind", kind, kKinds);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      activation_launch(x.data<T>(), y.data<T>(), x.size(), static_cast<Activation>(kind), alpha,
                        stream);
    });
  });
}

void activation_grad(In x, In y, In dy, Out dx, int64_t kind, double alpha) noexcept {
  constexpr const char* name = "activation_grad";
  if (kind >= kKinds) return fault(name, "kind", kind, kKinds);
  const DerivativeReads reads = scalar::activation::derivative_reads[kind];
  if (reads == DerivativeReads::input && !x)
    return fault(name, "this activation's derivative needs x");
  if (reads == DerivativeReads::output && !y)
    return fault(name, "this activation's derivative needs y");
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      activation_grad_launch(x.data<T>(), y.data<T>(), dy.data<T>(), dx.data<T>(), dy.size(),
                             static_cast<Activation>(kind), alpha, stream);
    });
  });
}

}  // namespace fastnn::cuda
