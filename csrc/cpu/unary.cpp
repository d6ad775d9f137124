// Functions of one number, and their derivatives times dy: each derivative reads the input x or the
// output y, whichever is cheaper. The mathematics is in vecmath*.h.
#include "cpu/broadcast.h"
#include "cpu/vecmath_trig.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

template <class T>
FASTNN_INLINE Vec<T> sign_of(Vec<T> x) {
  return select(x > Vec<T>(0), Vec<T>(1), select(x < Vec<T>(0), Vec<T>(-1), x));  // NaN stays NaN
}
FASTNN_INLINE IntVec<int32_t> sign_of(IntVec<int32_t> x) {
  return IntVec<int32_t>::of((x.v < 0) - (x.v > 0));  // true is -1 in a vector
}
template <class T>
FASTNN_INLINE Vec<T> magnitude(Vec<T> x) {
  return abs(x);
}
FASTNN_INLINE IntVec<int32_t> magnitude(IntVec<int32_t> x) { return max(x, -x); }

}  // namespace

#define UNARY(with, name, expression)                      \
  void name(In x, Out y) noexcept {                        \
    with(x.dtype(), [&](auto t) {                          \
      using T = decltype(t);                               \
      map(x.data<T>(), y.data<T>(), x.size(), [](auto x) { \
        using V = decltype(x);                             \
        (void)sizeof(V);                                   \
        return expression;                                 \
      });                                                  \
    });                                                    \
  }

UNARY(with_number, negative, -x)
UNARY(with_number, abs, magnitude(x))
UNARY(with_number, sign, sign_of(x))
UNARY(with_number, square, x* x)
UNARY(with_float, sqrt, sqrt(x))
UNARY(with_float, rsqrt, V(1) / sqrt(x))
UNARY(with_float, reciprocal, V(1) / x)
UNARY(with_float, exp, exp(x))
UNARY(with_float, expm1, expm1(x))
UNARY(with_float, log, log(x))
UNARY(with_float, log1p, log1p(x))
UNARY(with_float, sin, sin(x))
UNARY(with_float, cos, cos(x))
UNARY(with_float, erf, erf(x))
UNARY(with_float, floor, floor(x))
UNARY(with_float, ceil, -floor(-x))
UNARY(with_float, round, round_nearest(x))

// dx = dy f'(known), known being x or y.
#define GRADIENT(name, known, expression)                                                   \
  void name(In known, In dy, Out dx) noexcept {                                             \
    with_float(dy.dtype(), [&](auto t) {                                                    \
      using T = decltype(t);                                                                \
      map(known.data<T>(), dy.data<T>(), dx.data<T>(), dy.size(), [](auto known, auto dy) { \
        using V = decltype(known);                                                          \
        (void)sizeof(V);                                                                    \
        return expression;                                                                  \
      });                                                                                   \
    });                                                                                     \
  }

GRADIENT(abs_grad, x, dy* sign_of(x))
GRADIENT(square_grad, x, (x + x) * dy)
GRADIENT(sqrt_grad, y, V(0.5) * dy / y)
GRADIENT(rsqrt_grad, y, V(-0.5) * y * y * y * dy)
GRADIENT(reciprocal_grad, y, -(y * y * dy))
GRADIENT(expm1_grad, y, (y + V(1)) * dy)
GRADIENT(log1p_grad, x, dy / (x + V(1)))
GRADIENT(sin_grad, x, cos(x) * dy)
GRADIENT(cos_grad, x, -(sin(x) * dy))
GRADIENT(erf_grad, x, V(1.1283791670955126) * exp(-(x * x)) * dy)  // 2 / sqrt(pi)

}  // namespace fastnn::FASTNN_ISA
