// Optimizer updates, in place. What changes from step to step is read on the device.
#include "kernels.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kThreads = 256;

// Adam (Kingma and Ba, 2015, algorithm 1 in the order of its section 2), as Keras writes it:
//   m += (g - m)(1 - beta1)   v += (g^2 - v)(1 - beta2)
//   p -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    adam_kernel(T* p, const T* g, T* m, T* v, const float* lr, const std::int32_t* t,
                double log_beta1, double log_beta2, T rest1, T rest2, T epsilon, std::int64_t n) {
  struct Shared {
    T rate;
  };
  FN_SHARED(Shared, s);
  // Once per block, in double; expm1, since 1 - beta^t would lose digits at the first steps.
  if (thread_idx().x == 0)
    s.rate =
        static_cast<T>(*lr * std::sqrt(-std::expm1(*t * log_beta2)) / -std::expm1(*t * log_beta1));
  block_sync();
  const T rate = s.rate;
  const auto update = [&](T& p, T g, T& m, T& v) {
    m += (g - m) * rest1;
    v += (g * g - v) * rest2;
    p -= rate * m / (std::sqrt(v) + epsilon);
  };
  const std::int64_t i =
      (static_cast<std::int64_t>(block_idx().x) * kThreads + thread_idx().x) * kPack;
  if (i + kPack <= n) {
    auto p4 = load_pack<kPack>(p + i), m4 = load_pack<kPack>(m + i), v4 = load_pack<kPack>(v + i);
    const auto g4 = load_pack<kPack>(g + i);
    FN_UNROLL
    for (int j = 0; j < kPack; ++j) update(p4[j], g4[j], m4[j], v4[j]);
    store_pack(p + i, p4);
    store_pack(m + i, m4);
    store_pack(v + i, v4);
  } else {
    for (std::int64_t j = i; j < n; ++j) update(p[j], g[j], m[j], v[j]);
  }
}

}  // namespace

template <class T>
void adam_launch(T* p, const T* g, T* m, T* v, const float* lr, const int32_t* t, double beta1,
                 double beta2, double epsilon, int64_t n, Stream stream) {
  if (n == 0) return;
  constexpr int kPack = Pack<T>::size;
  const double log_beta1 = std::log(beta1), log_beta2 = std::log(beta2);
  const T rest1 = static_cast<T>(1 - beta1), rest2 = static_cast<T>(1 - beta2);
  const T eps = static_cast<T>(epsilon);
  if (aligned(16, p, g, m, v))
    launch<adam_kernel<T, kPack>>({grid_for(n, kThreads * kPack), kThreads, 0, stream}, p, g, m, v,
                                  lr, t, log_beta1, log_beta2, rest1, rest2, eps, n);
  else
    launch<adam_kernel<T, 1>>({grid_for(n, kThreads), kThreads, 0, stream}, p, g, m, v, lr, t,
                              log_beta1, log_beta2, rest1, rest2, eps, n);
}

#define FN_INSTANTIATE(T)                                                                       \
  template void adam_launch(T*, const T*, T*, T*, const float*, const int32_t*, double, double, \
                            double, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
