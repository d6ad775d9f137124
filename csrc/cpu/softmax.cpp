// Softmax and its logarithm along the last axis (a row in the first-level cache: maximum,
// exponentials and their sum, scale) and along an inner one (vectors across the columns). The
// maximum is taken away first, so exp never overflows (Goodfellow et al., Deep Learning,
// section 4.1). A row with NaN or +infinity, or of -infinity only, becomes NaN.
#include <math.h>

#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

FASTNN_INLINE float log_of(float x) { return ::logf(x); }
FASTNN_INLINE double log_of(double x) { return ::log(x); }

template <class T>
void softmax_row(const T* x, T* y, int64_t n) {
  using V = Vec<T>;
  const V top(row_max(x, n));
  const double sum = row_sum<T>(n, [&](int64_t i, int64_t count) {
    const V e = exp(V::load_n(x + i, count) - top);
    e.store_n(y + i, count);
    return e;
  });
  const V scale(T(1 / sum));
  along<T>(n, [&](int64_t i, int64_t count) {
    (V::load_n(y + i, count) * scale).store_n(y + i, count);
  });
}

template <class T>
void log_softmax_row(const T* x, T* y, int64_t n) {
  using V = Vec<T>;
  const V top(row_max(x, n));
  const V log_sum(log_of(T(row_sum<T>(
      n, [&](int64_t i, int64_t count) { return exp(V::load_n(x + i, count) - top); }))));
  along<T>(n, [&](int64_t i, int64_t count) {
    (V::load_n(x + i, count) - top - log_sum).store_n(y + i, count);
  });
}

template <class T>
void softmax_grad_row(const T* y, const T* dy, T* dx, int64_t n) {
  using V = Vec<T>;
  const V dot(T(row_sum<T>(n, [&](int64_t i, int64_t count) {
    return V::load_n(y + i, count) * V::load_n(dy + i, count);
  })));
  along<T>(n, [&](int64_t i, int64_t count) {
    (V::load_n(y + i, count) * (V::load_n(dy + i, count) - dot)).store_n(dx + i, count);
  });
}

template <class T>
void log_softmax_grad_row(const T* y, const T* dy, T* dx, int64_t n) {
  using V = Vec<T>;
  const V sum(T(row_sum<T>(n, [&](int64_t i, int64_t count) { return V::load_n(dy + i, count); })));
  along<T>(n, [&](int64_t i, int64_t count) {
    (V::load_n(dy + i, count) - exp(V::load_n(y + i, count)) * sum).store_n(dx + i, count);
  });
}

// Calls f(offset, count) for every group of columns of a tensor (outer, n, inner): element k of the
// group lies at offset + k * inner.
template <class T, class F>
FASTNN_INLINE void each_column_group(int64_t outer, int64_t n, int64_t inner, F f) {
  constexpr int lanes = Vec<T>::size;
  const int64_t groups = (inner + lanes - 1) / lanes;
  const int64_t grain = 8192 / (n * lanes + 1) + 1;
  pieces(outer * groups, grain, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t column = g % groups * lanes;
      f(g / groups * n * inner + column, inner - column < lanes ? inner - column : lanes);
    }
  });
}

template <class T>
void softmax_columns(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool log_result) {
  using V = Vec<T>;
  each_column_group<T>(outer, n, inner, [&](int64_t at, int64_t count) {
    V top((T)-__builtin_inf()), sum(0);
    for (int64_t k = 0; k < n; ++k) top = max_or_second(top, V::load_n(x + at + k * inner, count));
    for (int64_t k = 0; k < n; ++k) {
      const V shifted = V::load_n(x + at + k * inner, count) - top, e = exp(shifted);
      sum += e;
      (log_result ? shifted : e).store_n(y + at + k * inner, count);
    }
    const V scale = V(1) / sum, log_sum = log(sum);
    for (int64_t k = 0; k < n; ++k) {
      const V v = V::load_n(y + at + k * inner, count);
      (log_result ? v - log_sum : v * scale).store_n(y + at + k * inner, count);
    }
  });
}

template <class T>
void softmax_columns_grad(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner,
                          bool log_result) {
  using V = Vec<T>;
  each_column_group<T>(outer, n, inner, [&](int64_t at, int64_t count) {
    V sum(0);
    for (int64_t k = 0; k < n; ++k) {
      const V d = V::load_n(dy + at + k * inner, count);
      sum += log_result ? d : d * V::load_n(y + at + k * inner, count);
    }
    for (int64_t k = 0; k < n; ++k) {
      const V d = V::load_n(dy + at + k * inner, count), v = V::load_n(y + at + k * inner, count);
      (log_result ? d - exp(v) * sum : v * (d - sum)).store_n(dx + at + k * inner, count);
    }
  });
}

}  // namespace

void softmax(In x, Out y) noexcept {
  const int64_t n = x.cols();
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(x.rows(), n,
             [&](int64_t r) { softmax_row(x.data<T>() + r * n, y.data<T>() + r * n, n); });
  });
}

void log_softmax(In x, Out y) noexcept {
  const int64_t n = x.cols();
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(x.rows(), n,
             [&](int64_t r) { log_softmax_row(x.data<T>() + r * n, y.data<T>() + r * n, n); });
  });
}

void softmax_grad(In y, In dy, Out dx) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(y.rows(), n, [&](int64_t r) {
      softmax_grad_row(y.data<T>() + r * n, dy.data<T>() + r * n, dx.data<T>() + r * n, n);
    });
  });
}

void log_softmax_grad(In y, In dy, Out dx) noexcept {
  const int64_t n = y.cols();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_row(y.rows(), n, [&](int64_t r) {
      log_softmax_grad_row(y.data<T>() + r * n, dy.data<T>() + r * n, dx.data<T>() + r * n, n);
    });
  });
}

void softmax_axis(In x, Out y, bool log_result) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    softmax_columns(x.data<T>(), y.data<T>(), x.dim(0), x.dim(1), x.dim(2), log_result);
  });
}

void softmax_axis_grad(In y, In dy, Out dx, bool log_result) noexcept {
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    softmax_columns_grad(y.data<T>(), dy.data<T>(), dx.data<T>(), y.dim(0), y.dim(1), y.dim(2),
                         log_result);
  });
}

}  // namespace fastnn::FASTNN_ISA
