// Losses per row, and their gradients given the gradient of each row's loss. Formulas and clipping
// are Keras': probabilities are divided by their sum and clipped to [1e-7, 1 - 1e-7]; outside it
// the gradient is zero. Softmax is part of the cross-entropies that start from logits: the forward
// pass leaves two or three numbers a row, from which the backward pass needs one exponential a
// logit.
#include "losses.h"

#include <math.h>

#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

FASTNN_INLINE float log_of(float x) { return ::logf(x); }
FASTNN_INLINE double log_of(double x) { return ::log(x); }

template <class T>
constexpr T kLow = (T)kProbabilityFloor;
template <class T>
constexpr T kHigh = (T)(1 - kProbabilityFloor);

// NaN stays NaN.
template <class T>
FASTNN_INLINE Vec<T> clipped(Vec<T> x, T low, T high) {
  return max_or_second(low, min_or_second(high, x));
}

// 1 where low <= x <= high and where x is NaN, which must not vanish from the gradient; else 0.
template <class T>
FASTNN_INLINE Vec<T> inside(Vec<T> x, T low, T high) {
  return select((x < Vec<T>(low)) | (x > Vec<T>(high)), Vec<T>(0), Vec<T>(1));
}

template <class T>
FASTNN_INLINE Vec<T> sign_of(Vec<T> x) {
  return select(abs(x) > Vec<T>(0), copysign(Vec<T>(1), x), x);  // NaN stays NaN
}

// --- pointwise: value(t, y) and its slope in y; a is the loss's parameter ------------------------

struct SquaredError {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    return (y - t) * (y - t);
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return (y - t) + (y - t);
  }
};

struct AbsoluteError {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    return abs(y - t);
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return sign_of(y - t);
  }
};

struct PercentageError {  // 100 |y - t| / max(|t|, 1e-7)
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    return V(100) * abs(y - t) / max_or_second(kLow<T>, abs(t));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return V(100) * sign_of(y - t) / max_or_second(kLow<T>, abs(t));
  }
};

struct SquaredLogError {  // (log(1 + y) - log(1 + t))^2, both at least 1e-7
  template <class V, class T>
  static FASTNN_INLINE V difference(V t, V y, T) {
    return log1p(max_or_second(kLow<T>, y)) - log1p(max_or_second(kLow<T>, t));
  }
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T a) {
    return difference(t, y, a) * difference(t, y, a);
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T a) {
    return select(y < V(kLow<T>), V(0), V(2) * difference(t, y, a) / (y + V(1)));
  }
};

struct Huber {  // quadratic up to |y - t| = a, linear beyond
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T a) {
    const V d = abs(y - t);
    return select(d <= V(a), V(T(0.5)) * d * d, V(a) * d - V(T(0.5) * a * a));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T a) {
    return clipped(y - t, -a, a);
  }
};

struct LogCosh {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    const V d = abs(y - t);
    return d + log1p(exp(V(-2) * d)) - V(T(0.6931471805599453));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return tanh(y - t);
  }
};

// Labels smoothed towards one half by a.
template <class V, class T>
FASTNN_INLINE V smoothed(V t, T a) {
  return fma(t, T(1) - a, T(0.5) * a);
}

struct BinaryCrossentropy {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T a) {
    t = smoothed(t, a);
    const V p = clipped(y, kLow<T>, kHigh<T>);
    return -(t * log(p) + (V(1) - t) * log(V(1) - p));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T a) {
    const V p = clipped(y, kLow<T>, kHigh<T>);
    return inside(y, kLow<T>, kHigh<T>) * (p - smoothed(t, a)) / (p * (V(1) - p));
  }
};

struct BinaryCrossentropyLogits {  // max(y, 0) - t y + log(1 + e^-|y|)
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T a) {
    return max_or_second(T(0), y) - smoothed(t, a) * y + log1p(exp(-abs(y)));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T a) {
    return sigmoid(y) - smoothed(t, a);
  }
};

struct Hinge {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    return max_or_second(T(0), V(1) - t * y);
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return select(t * y < V(1), -t, V(0));
  }
};

struct SquaredHinge {
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T a) {
    return Hinge::value(t, y, a) * Hinge::value(t, y, a);
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T a) {
    return V(-2) * t * Hinge::value(t, y, a);
  }
};

struct Poisson {  // y - t log y
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    return y - t * log(y + V(kLow<T>));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return V(1) - t / (y + V(kLow<T>));
  }
};

struct KLDivergence {  // t log(t / y), both in [1e-7, 1]
  template <class V, class T>
  static FASTNN_INLINE V value(V t, V y, T) {
    t = clipped(t, kLow<T>, T(1));
    return t * log(t / clipped(y, kLow<T>, T(1)));
  }
  template <class V, class T>
  static FASTNN_INLINE V slope(V t, V y, T) {
    return -inside(y, kLow<T>, T(1)) * clipped(t, kLow<T>, T(1)) / clipped(y, kLow<T>, T(1));
  }
};

template <class F>
void with_loss(int64_t kind, F f) {
  switch (static_cast<PointwiseLoss>(kind)) {
    case PointwiseLoss::squared_error:
      return f(SquaredError{});
    case PointwiseLoss::absolute_error:
      return f(AbsoluteError{});
    case PointwiseLoss::percentage_error:
      return f(PercentageError{});
    case PointwiseLoss::squared_log_error:
      return f(SquaredLogError{});
    case PointwiseLoss::huber:
      return f(Huber{});
    case PointwiseLoss::log_cosh:
      return f(LogCosh{});
    case PointwiseLoss::binary_crossentropy:
      return f(BinaryCrossentropy{});
    case PointwiseLoss::binary_crossentropy_logits:
      return f(BinaryCrossentropyLogits{});
    case PointwiseLoss::hinge:
      return f(Hinge{});
    case PointwiseLoss::squared_hinge:
      return f(SquaredHinge{});
    case PointwiseLoss::poisson:
      return f(Poisson{});
    case PointwiseLoss::kl_divergence:
      return f(KLDivergence{});
  }
  team::fault("there is no loss of this kind");
}

// Rows of one number are one long row of results: vectors run across the rows.
template <class T, class F>
FASTNN_INLINE void along_all(int64_t n, F f) {
  pieces(n, 4096, [&](int64_t begin, int64_t end) {
    along<T>(end - begin, [&](int64_t i, int64_t count) { f(begin + i, count); });
  });
}

// --- cross-entropy over classes ------------------------------------------------------------------

// The class of row r; -1 for an ignored row and, after a report, for one outside [0, n).
FASTNN_INLINE int64_t label_of(const int32_t* labels, int64_t r, int64_t n, int64_t ignored) {
  const int64_t label = labels[r];
  if (label == ignored) return -1;
  if (label >= 0 && label < n) return label;
  team::fault("label", label, n);
  return -1;
}

// stats: from logits the row's {maximum, sum of exp(x - maximum)}; from probabilities {sum, 0}.
template <class T>
T sparse_row(const T* x, int64_t n, int64_t label, bool from_logits, T* stats) {
  using V = Vec<T>;
  if (from_logits) {
    const T top = row_max(x, n);
    const T sum = T(row_sum<T>(
        n, [&](int64_t i, int64_t count) { return exp(V::load_n(x + i, count) - V(top)); }));
    stats[0] = top, stats[1] = sum;
    return label < 0 ? T(0) : log_of(sum) + (top - x[label]);
  }
  const T sum = T(row_sum<T>(n, [&](int64_t i, int64_t count) { return V::load_n(x + i, count); }));
  stats[0] = sum, stats[1] = 0;
  if (label < 0) return 0;
  const T q = x[label] / sum;
  return -log_of(q < kLow<T> ? kLow<T> : q > kHigh<T> ? kHigh<T> : q);
}

template <class T>
void sparse_grad_row(const T* x, int64_t n, int64_t label, bool from_logits, const T* stats, T d,
                     T* dx) {
  using V = Vec<T>;
  if (label < 0) return along<T>(n, [&](int64_t i, int64_t count) { V(0).store_n(dx + i, count); });
  if (from_logits) {
    const V top(stats[0]), scale(d / stats[1]);
    along<T>(n, [&](int64_t i, int64_t count) {
      (exp(V::load_n(x + i, count) - top) * scale).store_n(dx + i, count);
    });
    dx[label] -= d;
    return;
  }
  const T q = x[label] / stats[0];
  const V share(q < kLow<T> || q > kHigh<T> ? T(0) : d / stats[0]);
  along<T>(n, [&](int64_t i, int64_t count) { share.store_n(dx + i, count); });
  if (share[0] != 0) dx[label] -= d / x[label];
}

// stats: from logits {maximum, sum of exp(x - maximum), sum of t}; from probabilities {sum, 0, sum
// of t where the clipping leaves the probability alone}.
template <class T>
T categorical_row(const T* t, const T* x, int64_t n, bool from_logits, T keep, T add, T* stats) {
  using V = Vec<T>;
  const auto target = [&](int64_t i, int64_t count) {
    return fma(V::load_n(t + i, count), keep, add);
  };
  if (from_logits) {
    const T top = row_max(x, n);
    const T sum = T(row_sum<T>(
        n, [&](int64_t i, int64_t count) { return exp(V::load_n(x + i, count) - V(top)); }));
    const double mass = row_sum<T>(n, target);
    const double dot = row_sum<T>(n, [&](int64_t i, int64_t count) {
      return target(i, count) * (V::load_n(x + i, count) - V(top));
    });
    stats[0] = top, stats[1] = sum, stats[2] = T(mass);
    return T(mass * double(log_of(sum)) - dot);
  }
  const T sum = T(row_sum<T>(n, [&](int64_t i, int64_t count) { return V::load_n(x + i, count); }));
  const auto share = [&](int64_t i, int64_t count) { return V::load_n(x + i, count) / V(sum); };
  stats[0] = sum, stats[1] = 0;
  stats[2] = T(row_sum<T>(n, [&](int64_t i, int64_t count) {
    return target(i, count) * inside(share(i, count), kLow<T>, kHigh<T>);
  }));
  return -T(row_sum<T>(n, [&](int64_t i, int64_t count) {
    return target(i, count) * log(clipped(share(i, count), kLow<T>, kHigh<T>));
  }));
}

template <class T>
void categorical_grad_row(const T* t, const T* x, int64_t n, bool from_logits, T keep, T add,
                          const T* stats, T d, T* dx) {
  using V = Vec<T>;
  const auto target = [&](int64_t i, int64_t count) {
    return fma(V::load_n(t + i, count), keep, add);
  };
  if (from_logits) {
    const V top(stats[0]), scale(d * stats[2] / stats[1]);
    along<T>(n, [&](int64_t i, int64_t count) {
      (exp(V::load_n(x + i, count) - top) * scale - V(d) * target(i, count)).store_n(dx + i, count);
    });
    return;
  }
  const V sum(stats[0]), common(d * stats[2] / stats[0]);
  along<T>(n, [&](int64_t i, int64_t count) {
    const V p = V::load_n(x + i, count);
    // Select, because a clipped zero probability divides by zero.
    const Mask<T> free = !(inside(p / sum, kLow<T>, kHigh<T>) == V(0));
    (common - select(free, V(d) * target(i, count) / p, V(0))).store_n(dx + i, count);
  });
}

}  // namespace

void pointwise_loss(In t, In y, Out loss, int64_t kind, double parameter, bool mean) noexcept {
  const int64_t rows = y.rows(), n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    const T *pt = t.data<T>(), *py = y.data<T>(), a = T(parameter);
    T* out = loss.data<T>();
    with_loss(kind, [&](auto formula) {
      if (n == 1)
        return along_all<T>(rows, [&](int64_t i, int64_t count) {
          formula.value(V::load_n(pt + i, count), V::load_n(py + i, count), a)
              .store_n(out + i, count);
        });
      const double scale = mean ? 1.0 / double(n) : 1.0;
      each_row(rows, n, [&](int64_t r) {
        const T *tr = pt + r * n, *yr = py + r * n;
        out[r] = T(scale * row_sum<T>(n, [&](int64_t i, int64_t count) {
                     return formula.value(V::load_n(tr + i, count), V::load_n(yr + i, count), a);
                   }));
      });
    });
  });
}

void pointwise_loss_grad(In t, In y, In dloss, Out dy, int64_t kind, double parameter,
                         bool mean) noexcept {
  const int64_t rows = y.rows(), n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    const T *pt = t.data<T>(), *py = y.data<T>(), *d = dloss.data<T>(), a = T(parameter);
    T* out = dy.data<T>();
    with_loss(kind, [&](auto formula) {
      if (n == 1)
        return along_all<T>(rows, [&](int64_t i, int64_t count) {
          (V::load_n(d + i, count) *
           formula.slope(V::load_n(pt + i, count), V::load_n(py + i, count), a))
              .store_n(out + i, count);
        });
      const T scale = mean ? T(1) / T(n) : T(1);
      each_row(rows, n, [&](int64_t r) {
        const V dr(d[r] * scale);
        along<T>(n, [&](int64_t i, int64_t count) {
          const int64_t at = r * n + i;
          (dr * formula.slope(V::load_n(pt + at, count), V::load_n(py + at, count), a))
              .store_n(out + at, count);
        });
      });
    });
  });
}

void sparse_crossentropy(In y, In label, Out loss, Out stats, bool from_logits,
                         int64_t ignored) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(y.rows(), n, [&](int64_t r) {
      loss.data<T>()[r] =
          sparse_row(y.data<T>() + r * n, n, label_of(label.data<int32_t>(), r, n, ignored),
                     from_logits, stats.data<T>() + r * 2);
    });
  });
}

void sparse_crossentropy_grad(In y, In label, In stats, In dloss, Out dy, bool from_logits,
                              int64_t ignored) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(y.rows(), n, [&](int64_t r) {
      sparse_grad_row(y.data<T>() + r * n, n, label_of(label.data<int32_t>(), r, n, ignored),
                      from_logits, stats.data<T>() + r * 2, dloss.data<T>()[r],
                      dy.data<T>() + r * n);
    });
  });
}

void categorical_crossentropy(In t, In y, Out loss, Out stats, bool from_logits,
                              double smoothing) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T keep = T(1 - smoothing), add = T(smoothing / double(n > 0 ? n : 1));
    each_row(y.rows(), n, [&](int64_t r) {
      loss.data<T>()[r] = categorical_row(t.data<T>() + r * n, y.data<T>() + r * n, n, from_logits,
                                          keep, add, stats.data<T>() + r * 3);
    });
  });
}

void categorical_crossentropy_grad(In t, In y, In stats, In dloss, Out dy, bool from_logits,
                                   double smoothing) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T keep = T(1 - smoothing), add = T(smoothing / double(n > 0 ? n : 1));
    each_row(y.rows(), n, [&](int64_t r) {
      categorical_grad_row(t.data<T>() + r * n, y.data<T>() + r * n, n, from_logits, keep, add,
                           stats.data<T>() + r * 3, dloss.data<T>()[r], dy.data<T>() + r * n);
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
