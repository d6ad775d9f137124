// Optimizer updates, in place. What changes from step to step is read on the device.
#include "body.h"
#include "launch.cuh"
#include "map.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kThreads = 256;

// Adam (Kingma and Ba, 2015, algorithm 1 in the order of its section 2), as Keras writes it:
//   m += (g - m)(1 - beta1)   v += (g^2 - v)(1 - beta2)
//   p = p (1 - decay lr) - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)
// The decay is decoupled from the gradient: Loshchilov and Hutter, 2019.
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    adam_kernel(T* p, const T* g, T* m, T* v, const double* lr, const std::int32_t* t,
                double log_beta1, double log_beta2, T rest1, T rest2, T epsilon, double decay,
                std::int64_t n) {
  struct Shared {
    T rate, keep;
  };
  FN_SHARED(Shared, s);
  // Once per block, in double; expm1, since 1 - beta^t would lose digits at the first steps.
  if (thread_idx().x == 0) {
    s.rate =
        static_cast<T>(*lr * std::sqrt(-std::expm1(*t * log_beta2)) / -std::expm1(*t * log_beta1));
    s.keep = static_cast<T>(1 - decay * *lr);
  }
  block_sync();
  const T rate = s.rate, keep = s.keep;
  const auto update = [&](T& p, T g, T& m, T& v) {
    m += (g - m) * rest1;
    v += (g * g - v) * rest2;
    p = p * keep - rate * m / (std::sqrt(v) + epsilon);
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

struct Descend {
  const double* lr;
  template <class T>
  FN_DEVICE T operator()(T p, T g) const {
    return p - static_cast<T>(*lr) * g;
  }
};

struct Increment {
  FN_DEVICE std::int32_t operator()(std::int32_t t) const { return t + 1; }
};

}  // namespace

template <class T>
void sgd_launch(T* p, const T* g, const double* lr, int64_t n, Stream stream) {
  map_launch(Descend{lr}, n, stream, p, static_cast<const T*>(p), g);
}

template <class T>
void adam_launch(T* p, const T* g, T* m, T* v, const double* lr, const int32_t* t, double beta1,
                 double beta2, double epsilon, double weight_decay, int64_t n, Stream stream) {
  if (n == 0) return;
  constexpr int kPack = Pack<T>::size;
  const double log_beta1 = std::log(beta1), log_beta2 = std::log(beta2);
  const T rest1 = static_cast<T>(1 - beta1), rest2 = static_cast<T>(1 - beta2);
  const T eps = static_cast<T>(epsilon);
  if (aligned(16, p, g, m, v))
    launch<adam_kernel<T, kPack>>({grid_for(n, kThreads * kPack), kThreads, 0, stream}, p, g, m, v,
                                  lr, t, log_beta1, log_beta2, rest1, rest2, eps, weight_decay, n);
  else
    launch<adam_kernel<T, 1>>({grid_for(n, kThreads), kThreads, 0, stream}, p, g, m, v, lr, t,
                              log_beta1, log_beta2, rest1, rest2, eps, weight_decay, n);
}

#define FN_INSTANTIATE(T)                                                                        \
  template void sgd_launch(T*, const T*, const double*, int64_t, Stream);                        \
  template void adam_launch(T*, const T*, T*, T*, const double*, const int32_t*, double, double, \
                            double, double, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

void sgd(InOut p, In g, In lr) noexcept {
  with_float(p.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sgd_launch(p.data<T>(), g.data<T>(), lr.data<double>(), p.size(), stream);
    });
  });
}

void adam(InOut p, In g, InOut m, InOut v, In lr, In t, double beta_1, double beta_2,
          double epsilon, double weight_decay) noexcept {
  with_float(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    enqueue([&](Stream stream) {
      adam_launch(p.data<T>(), g.data<T>(), m.data<T>(), v.data<T>(), lr.data<double>(),
                  t.data<int32_t>(), beta_1, beta_2, epsilon, weight_decay, p.size(), stream);
    });
  });
}

void increment(InOut t) noexcept {
  enqueue([&](Stream stream) {
    int32_t* p = t.data<int32_t>();
    map_launch(Increment{}, 1, stream, p, static_cast<const int32_t*>(p));
  });
}

}  // namespace fastnn::cuda
