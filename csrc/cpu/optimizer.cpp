// Optimizer updates: one pass over a flat arena of parameters, its gradient and its states, so a
// model of any number of weights is one call. Memory-bound: Adam reads p g m v and writes p m v, 28
// bytes a float32 parameter. What changes from step to step (rate, step count t = 1, 2, ...) is
// read from tensors; corrections are computed in double once per call. Formulas are those of
// Keras 3.
#include <math.h>

#include "cpu/rows.h"
#include "cpu/vecmath_power.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kGrain = 16384;

template <class T, class F>
FASTNN_INLINE void sweep(int64_t n, F update) {
  pieces(n, kGrain, [&](int64_t begin, int64_t end) {
    along<T>(end - begin, [&](int64_t i, int64_t count) { update(begin + i, count); });
  });
}

// A state or parameter array: a(i, count) reads, a.put(i, count, v) writes.
template <class T>
struct Arena {
  T* p;
  explicit Arena(const Out& t) : p(t.data<T>()) {}
  FASTNN_INLINE Vec<T> operator()(int64_t i, int64_t count) const {
    return Vec<T>::load_n(p + i, count);
  }
  FASTNN_INLINE void put(int64_t i, int64_t count, Vec<T> v) const { v.store_n(p + i, count); }
};

FASTNN_INLINE double rate_of(In lr) { return *lr.data<double>(); }
FASTNN_INLINE double step_of(In t) { return double(*t.data<int32_t>()); }
// 1 - beta^t without losing digits at the first steps.
FASTNN_INLINE double correction(double beta, double step) {
  return beta > 0 ? -::expm1(step * ::log(beta)) : 1;
}

template <class T>
struct Gradient {
  const T* g;
  explicit Gradient(const In& t) : g(t.data<T>()) {}
  FASTNN_INLINE Vec<T> operator()(int64_t i, int64_t count) const {
    return Vec<T>::load_n(g + i, count);
  }
};

// Calls f(a zero of the storage type, p, g).
template <class F>
FASTNN_INLINE void with_arena(const InOut& p, const In& g, F f) {
  with_float(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    f(zero, Arena<T>(p), Gradient<T>(g));
  });
}

// x^e; the square root where that is meant, as pow is slow.
template <class T>
FASTNN_INLINE Vec<T> power(Vec<T> x, T e) {
  return e == T(0.5) ? sqrt(x) : pow(x, Vec<T>(e));
}

template <bool amsgrad, class T>
FASTNN_INLINE void adam_update(Arena<T> p, Gradient<T> g, InOut m_, InOut v_, const T* hat_,
                               int64_t n, double lr, double step, double beta_1, double beta_2,
                               double epsilon, double weight_decay) {
  using V = Vec<T>;
  // Keras folds the bias corrections into the rate and adds epsilon outside the root.
  const V rate(T(lr * ::sqrt(correction(beta_2, step)) / correction(beta_1, step)));
  const V rest_1(T(1 - beta_1)), rest_2(T(1 - beta_2)), eps{T(epsilon)},
      keep(T(1 - weight_decay * lr));
  const Arena<T> m(m_), v(v_);
  T* const hat = const_cast<T*>(hat_);
  sweep<T>(n, [&](int64_t i, int64_t k) {
    const V gi = g(i, k), m0 = m(i, k), v0 = v(i, k);
    const V mi = fma(gi - m0, rest_1, m0);
    V vi = fma(gi * gi - v0, rest_2, v0);
    m.put(i, k, mi);
    v.put(i, k, vi);
    if constexpr (amsgrad) {
      vi = max(V::load_n(hat + i, k), vi);
      vi.store_n(hat + i, k);
    }
    p.put(i, k, p(i, k) * keep - rate * mi / (sqrt(vi) + eps));
  });
}

}  // namespace

void sgd(InOut p, In g, In lr) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    const Vec<T> rate(T(-rate_of(lr)));
    sweep<T>(p.size(), [&](int64_t i, int64_t k) { p_.put(i, k, fma(g_(i, k), rate, p_(i, k))); });
  });
}

void sgd_momentum(InOut p, In g, InOut v, In lr, double momentum, bool nesterov) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr))), mu{T(momentum)};
    const Arena<T> v_(v);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V move = g_(i, k) * rate, vi = v_(i, k) * mu - move;
      v_.put(i, k, vi);
      p_.put(i, k, p_(i, k) + (nesterov ? vi * mu - move : vi));
    });
  });
}

void sgd_average(InOut p, In g, InOut v, In lr, double momentum) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(-rate_of(lr))), rest(T(1 - momentum));
    const Arena<T> v_(v);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V v0 = v_(i, k), vi = fma(g_(i, k) - v0, rest, v0);
      v_.put(i, k, vi);
      p_.put(i, k, fma(vi, rate, p_(i, k)));
    });
  });
}

void adagrad(InOut p, In g, InOut a, In lr, double epsilon) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr))), eps{T(epsilon)};
    const Arena<T> a_(a);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), ai = fma(gi, gi, a_(i, k));
      a_.put(i, k, ai);
      p_.put(i, k, p_(i, k) - rate * gi / sqrt(ai + eps));
    });
  });
}

void rmsprop(InOut p, In g, InOut v, InOut average, InOut m, In lr, double rho, double momentum,
             double epsilon) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr))), decay{T(rho)}, rest(T(1 - rho)), mu{T(momentum)}, eps{T(epsilon)};
    const Arena<T> v_(v), average_(average), m_(m);
    const bool centered(average), with_momentum(m);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), vi = decay * v_(i, k) + rest * gi * gi;
      v_.put(i, k, vi);
      V denominator = vi;
      if (centered) {
        const V ai = decay * average_(i, k) + rest * gi;
        average_.put(i, k, ai);
        denominator -= ai * ai;
      }
      V move = rate * gi / sqrt(denominator + eps);
      if (with_momentum) {
        move += mu * m_(i, k);
        m_.put(i, k, move);
      }
      p_.put(i, k, p_(i, k) - move);
    });
  });
}

void adam(InOut p, In g, InOut m, InOut v, In lr, In t, double beta_1, double beta_2,
          double epsilon, double weight_decay) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    adam_update<false, T>(p_, g_, m, v, nullptr, p.size(), rate_of(lr), step_of(t), beta_1, beta_2,
                          epsilon, weight_decay);
  });
}

void adam_amsgrad(InOut p, In g, InOut m, InOut v, InOut v_hat, In lr, In t, double beta_1,
                  double beta_2, double epsilon, double weight_decay) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    adam_update<true, T>(p_, g_, m, v, v_hat.data<T>(), p.size(), rate_of(lr), step_of(t), beta_1,
                         beta_2, epsilon, weight_decay);
  });
}

void adamax(InOut p, In g, InOut m, InOut u, In lr, In t, double beta_1, double beta_2,
            double epsilon) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr) / correction(beta_1, step_of(t))));
    const V rest_1(T(1 - beta_1)), decay{T(beta_2)}, eps{T(epsilon)};
    const Arena<T> m_(m), u_(u);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), m0 = m_(i, k), mi = fma(gi - m0, rest_1, m0);
      const V ui = max(decay * u_(i, k), abs(gi));
      m_.put(i, k, mi);
      u_.put(i, k, ui);
      p_.put(i, k, p_(i, k) - rate * mi / (ui + eps));
    });
  });
}

// The product of Nadam's momentum schedule u_t = beta_1 (1 - 0.96^t / 2) up to step t.
void nadam_product(InOut product, In t, double beta_1) noexcept {
  if (is_first_member()) *product.data<double>() *= beta_1 * (1 - 0.5 * ::pow(0.96, step_of(t)));
}

void nadam(InOut p, In g, InOut m, InOut v, In product, In lr, In t, double beta_1, double beta_2,
           double epsilon) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const double step = step_of(t), now = beta_1 * (1 - 0.5 * ::pow(0.96, step)),
                 next = beta_1 * (1 - 0.5 * ::pow(0.96, step + 1)),
                 so_far = *product.data<double>(), root = ::sqrt(correction(beta_2, step)),
                 lr_ = rate_of(lr);
    // sqrt(v / correction) + epsilon = (sqrt(v) + epsilon root) / root
    const V of_m(T(lr_ * root * next / (1 - so_far * next))),
        of_g(T(lr_ * root * (1 - now) / (1 - so_far)));
    const V rest_1(T(1 - beta_1)), rest_2(T(1 - beta_2)), eps(T(epsilon * root));
    const Arena<T> m_(m), v_(v);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), m0 = m_(i, k), v0 = v_(i, k);
      const V mi = fma(gi - m0, rest_1, m0), vi = fma(gi * gi - v0, rest_2, v0);
      m_.put(i, k, mi);
      v_.put(i, k, vi);
      p_.put(i, k, p_(i, k) - (of_m * mi + of_g * gi) / (sqrt(vi) + eps));
    });
  });
}

void adadelta(InOut p, In g, InOut a, InOut d, In lr, double rho, double epsilon) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr))), decay{T(rho)}, rest(T(1 - rho)), eps{T(epsilon)};
    const Arena<T> a_(a), d_(d);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), d0 = d_(i, k), ai = decay * a_(i, k) + rest * gi * gi;
      const V move = sqrt(d0 + eps) * gi / sqrt(ai + eps);
      a_.put(i, k, ai);
      d_.put(i, k, decay * d0 + rest * move * move);
      p_.put(i, k, p_(i, k) - rate * move);
    });
  });
}

void lion(InOut p, In g, InOut m, In lr, double beta_1, double beta_2) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V rate(T(rate_of(lr))), b1{T(beta_1)}, r1(T(1 - beta_1)), b2{T(beta_2)},
        r2(T(1 - beta_2));
    const Arena<T> m_(m);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), mi = m_(i, k), c = mi * b1 + gi * r1;
      p_.put(i, k, p_(i, k) - rate * select(abs(c) > V(0), copysign(V(1), c), c));
      m_.put(i, k, mi * b2 + gi * r2);
    });
  });
}

void ftrl(InOut p, In g, InOut a, InOut linear, In lr, double power_, double l1, double l2,
          double shrinkage, double beta) noexcept {
  with_arena(p, g, [&](auto zero, auto p_, auto g_) {
    using T = decltype(zero);
    using V = Vec<T>;
    const double lr_ = rate_of(lr);
    const T e = T(-power_), bound = T(l1);
    const V per_rate(T(1 / lr_)), ridge(T(2 * l2 + beta / lr_)), shrink(T(2 * shrinkage));
    const Arena<T> a_(a), l_(linear);
    sweep<T>(p.size(), [&](int64_t i, int64_t k) {
      const V gi = g_(i, k), pi = p_(i, k), a0 = a_(i, k), a1 = fma(gi, gi, a0);
      const V after = power(a1, e);
      const V li = l_(i, k) + (fma(shrink, pi, gi) - (after - power(a0, e)) * per_rate * pi);
      l_.put(i, k, li);
      a_.put(i, k, a1);
      const V kept = max_or_second(-bound, min_or_second(bound, li));
      p_.put(i, k, (kept - li) / fma(after, per_rate, ridge));
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
