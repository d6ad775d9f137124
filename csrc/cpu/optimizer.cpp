// Optimizer updates: one pass over a flat arena of parameters, its gradient and its states.
// Memory-bound: Adam reads p g m v and writes p m v, 28 bytes a float32 parameter.
#include "cpu/simd.h"
#include "cpu/team.h"
#include "kernels.h"

#include <math.h>

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kGrain = 16384;

template <class T, class F>
FASTNN_INLINE void sweep(int64_t n, F update) {
  constexpr int lanes = Vec<T>::size;
  pieces(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += lanes) update(i, end - i < lanes ? end - i : lanes);
  });
}

template <class T>
void adam_update(T* p, const T* g, T* m, T* v, int64_t n, double lr, double step, T b1, T b2, T eps, T decay) {
  // Keras folds the bias corrections into the rate and adds epsilon outside the root.
  const T rate = static_cast<T>(lr * ::sqrt(1 - ::pow(b2, step)) / (1 - ::pow(b1, step)));
  const Vec<T> vrate(rate), vb1(1 - b1), vb2(1 - b2), veps(eps), vkeep(T(1) - decay * T(lr));
  sweep<T>(n, [&](int64_t i, int64_t count) {
    const Vec<T> gi = Vec<T>::load_n(g + i, count);
    Vec<T> mi = Vec<T>::load_n(m + i, count), vi = Vec<T>::load_n(v + i, count);
    mi += (gi - mi) * vb1;
    vi += (gi * gi - vi) * vb2;
    const Vec<T> pi = Vec<T>::load_n(p + i, count) * vkeep;
    (pi - vrate * mi / (sqrt(vi) + veps)).store_n(p + i, count);
    mi.store_n(m + i, count);
    vi.store_n(v + i, count);
  });
}

}  // namespace

void adam(InOut p, In g, InOut m, InOut v, In lr, In t, double beta_1, double beta_2, double epsilon,
          double weight_decay) noexcept {
  const double step = *t.data<int32_t>(), rate = *lr.data<double>();
  const int64_t n = p.size();
  if (p.dtype() == DType::float32)
    adam_update<float>(p.data<float>(), g.data<float>(), m.data<float>(), v.data<float>(), n, rate, step,
                       float(beta_1), float(beta_2), float(epsilon), float(weight_decay));
  else
    adam_update<double>(p.data<double>(), g.data<double>(), m.data<double>(), v.data<double>(), n, rate, step,
                        beta_1, beta_2, epsilon, weight_decay);
}

}  // namespace fastnn::FASTNN_ISA
