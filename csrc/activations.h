// Activation functions and their derivatives, each written once: as templates over V, which is
// Vec<float> or Vec<double> in a CPU kernel and a plain float or double in CUDA code.
//
// forward(x) is y; derivative(x, y) is dy/dx. A derivative reads only x or only y, as the list
// below says, and the other may be passed as anything: what needs only its output can be computed
// in place and keeps nothing for the backward pass. Definitions and constants are those of Keras 3.
#pragma once

#ifndef FASTNN_ISA
#define FASTNN_ISA scalar
#endif

#ifndef FASTNN_HD
#ifdef __CUDACC__
#define FASTNN_HD __host__ __device__
#else
#define FASTNN_HD
#endif
#endif

#ifdef FASTNN_VEC_BYTES
#include "cpu/vecmath.h"
#endif

#define FASTNN_FORMULA FASTNN_HD inline __attribute__((always_inline))

// X(name, what the derivative reads: nothing, input or output).
#define FASTNN_ACTIVATIONS(X) \
  X(linear, nothing)          \
  X(step, nothing)            \
  X(sigmoid, output)          \
  X(tanh, output)             \
  X(relu, output)             \
  X(relu6, output)            \
  X(leaky_relu, output)       \
  X(elu, output)              \
  X(selu, output)             \
  X(gelu, input)              \
  X(gelu_tanh, input)         \
  X(silu, input)              \
  X(softplus, output)         \
  X(softsign, input)          \
  X(hard_sigmoid, output)     \
  X(hard_silu, input)         \
  X(exponential, output)      \
  X(mish, input)

namespace fastnn {

enum class Activation : int {
#define FASTNN_X(name, reads) name,
  FASTNN_ACTIVATIONS(FASTNN_X)
#undef FASTNN_X
};

enum class DerivativeReads : int { nothing, input, output };

namespace FASTNN_ISA {

// ---- plain numbers under the names that simd.h and vecmath.h give to vectors ------------------

#define FASTNN_PLAIN(T, suffix)                                             \
  FASTNN_FORMULA T select(bool m, T yes, T no) { return m ? yes : no; }     \
  FASTNN_FORMULA T max_or_second(T a, T b) { return a > b ? a : b; }        \
  FASTNN_FORMULA T min_or_second(T a, T b) { return a < b ? a : b; }        \
  FASTNN_FORMULA T abs(T x) { return FASTNN_LIBM(fabs##suffix)(x); }        \
  FASTNN_FORMULA T exp(T x) { return FASTNN_LIBM(exp##suffix)(x); }         \
  FASTNN_FORMULA T expm1(T x) { return FASTNN_LIBM(expm1##suffix)(x); }     \
  FASTNN_FORMULA T log1p(T x) { return FASTNN_LIBM(log1p##suffix)(x); }     \
  FASTNN_FORMULA T tanh(T x) { return FASTNN_LIBM(tanh##suffix)(x); }       \
  FASTNN_FORMULA T sigmoid(T x) {                                           \
    const T e = exp(-abs(x));                                               \
    return (x < 0 ? e : T(1)) / (1 + e);                                    \
  }                                                                         \
  FASTNN_FORMULA T erf(T x) { return FASTNN_LIBM(erf##suffix)(x); }         \
  struct ErfExp_##T {                                                       \
    T erf, exp;                                                             \
  };                                                                        \
  FASTNN_FORMULA ErfExp_##T erf_and_exp(T x) {                              \
    return {FASTNN_LIBM(erf##suffix)(x), FASTNN_LIBM(exp##suffix)(-x * x)}; \
  }

#ifdef __CUDACC__
#define FASTNN_LIBM(name) ::name
#else
#define FASTNN_LIBM(name) __builtin_##name
#endif
FASTNN_PLAIN(float, f)
FASTNN_PLAIN(double, )
#undef FASTNN_LIBM
#undef FASTNN_PLAIN

// ---- the formulas -----------------------------------------------------------------------------
// max_or_second(0, x), not the other way round: it returns its second argument for NaN, and a NaN
// must not turn into a 0 on its way through a network.

namespace activation {

constexpr DerivativeReads derivative_reads[] = {
#define FASTNN_X(name, reads) DerivativeReads::reads,
    FASTNN_ACTIVATIONS(FASTNN_X)
#undef FASTNN_X
};

template <Activation which>
struct Formula {
  static constexpr Activation kind = which;
  static constexpr DerivativeReads reads = derivative_reads[(int)which];
  double alpha = 0;  // the slope of leaky_relu, the alpha of elu; unused by the others
};

template <class V>
FASTNN_FORMULA V clip(V x, double low, double high) {
  return max_or_second(V(low), min_or_second(V(high), x));
}

struct linear : Formula<Activation::linear> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return x;
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V) const {
    return V(1);
  }
};

// The hard threshold of the perceptron; its derivative is 0 wherever it has one.
struct step : Formula<Activation::step> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return select(x > V(0), V(1), V(0));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V) const {
    return V(0);
  }
};

struct sigmoid : Formula<Activation::sigmoid> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return FASTNN_ISA::sigmoid(x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return y * (V(1) - y);
  }
};

struct tanh : Formula<Activation::tanh> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return FASTNN_ISA::tanh(x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return (V(1) - y) * (V(1) + y);
  }
};

struct relu : Formula<Activation::relu> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return max_or_second(V(0), x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y > V(0), V(1), V(0));
  }
};

struct relu6 : Formula<Activation::relu6> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return clip(x, 0, 6);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y > V(0), select(y < V(6), V(1), V(0)), V(0));
  }
};

// x > 0 ? x : alpha x, alpha > 0: the sign of y must be the sign of x. At 0 the derivative is 1, as
// in Keras on JAX.
struct leaky_relu : Formula<Activation::leaky_relu> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return select(x > V(0), x, V(alpha) * x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y >= V(0), V(1), V(alpha));
  }
};

// x > 0 ? x : alpha (e^x - 1), alpha >= 0; below 0 the derivative alpha e^x is y + alpha.
struct elu : Formula<Activation::elu> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return select(x > V(0), x, V(alpha) * expm1(x));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y > V(0), V(1), y + V(alpha));
  }
};

// Klambauer et al., Self-normalizing neural networks, 2017.
struct selu : Formula<Activation::selu> {
  static constexpr double scale = 1.0507009873554805, scale_alpha = scale * 1.6732632423543772;
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return select(x > V(0), V(scale) * x, V(scale_alpha) * expm1(x));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y > V(0), V(scale), y + V(scale_alpha));
  }
};

// x Phi(x), Phi the normal distribution function. Hendrycks & Gimpel, 2016.
struct gelu : Formula<Activation::gelu> {
  static constexpr double sqrt_half = 0.70710678118654752, density_at_0 = 0.39894228040143268;
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return V(0.5) * x * (V(1) + erf(x * V(sqrt_half)));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    const auto [erf, density] = erf_and_exp(x * V(sqrt_half));
    return V(0.5) * (V(1) + erf) + x * density * V(density_at_0);
  }
};

// x (1 + tanh u) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3). As (1 + tanh u) / 2 is sigmoid(2u),
// the left tail loses nothing to cancellation.
struct gelu_tanh : Formula<Activation::gelu_tanh> {
  static constexpr double two_sqrt_2_pi = 1.5957691216057308, cubic = 0.044715;
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return x * FASTNN_ISA::sigmoid(V(two_sqrt_2_pi) * x * (V(1) + V(cubic) * x * x));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    x = clip(x, -20, 20);  // beyond, it is 0 or 1, and x^3 could overflow
    const V v = V(two_sqrt_2_pi) * x * (V(1) + V(cubic) * x * x);
    const V dv = V(two_sqrt_2_pi) * (V(1) + V(3 * cubic) * x * x);
    const V e = exp(-abs(v)), r = V(1) / (V(1) + e);
    return select(v < V(0), e, V(1)) * r + x * dv * e * r * r;
  }
};

// x sigmoid(x), also called swish. With e = e^-|x| the derivative of the sigmoid is e / (1 + e)^2.
struct silu : Formula<Activation::silu> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return x * FASTNN_ISA::sigmoid(x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    const V e = exp(-abs(x)), r = V(1) / (V(1) + e);
    return select(x < V(0), e, V(1)) * r + x * e * r * r;
  }
};

// log(1 + e^x), whose derivative sigmoid(x) is 1 - e^-y.
struct softplus : Formula<Activation::softplus> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return max_or_second(V(0), x) + log1p(exp(-abs(x)));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return -expm1(-y);
  }
};

struct softsign : Formula<Activation::softsign> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return x / (V(1) + abs(x));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    const V r = V(1) / (V(1) + abs(x));
    return r * r;
  }
};

// min(max(x / 6 + 1/2, 0), 1).
struct hard_sigmoid : Formula<Activation::hard_sigmoid> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return clip(x * V(1.0 / 6) + V(0.5), 0, 1);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return select(y > V(0), select(y < V(1), V(1.0 / 6), V(0)), V(0));
  }
};

// x hard_sigmoid(x), also called hard swish.
struct hard_silu : Formula<Activation::hard_silu> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return x * clip(x * V(1.0 / 6) + V(0.5), 0, 1);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    const V gate = clip(x * V(1.0 / 6) + V(0.5), 0, 1);
    return select(gate > V(0), select(gate < V(1), gate + x * V(1.0 / 6), V(1)), gate);
  }
};

struct exponential : Formula<Activation::exponential> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    return exp(x);
  }
  template <class V>
  FASTNN_FORMULA V derivative(V, V y) const {
    return y;
  }
};

// x tanh(softplus(x)). With e = e^x and w = e (e + 2), tanh(log(1 + e)) is w / (w + 2): one
// exponential. From x = 40 on it is 1 in either type, and e^2 still far from overflow. Misra, 2019.
struct mish : Formula<Activation::mish> {
  template <class V>
  FASTNN_FORMULA V forward(V x) const {
    const V e = exp(min_or_second(V(40), x)), w = e * (e + V(2));
    return x * (w / (w + V(2)));
  }
  template <class V>
  FASTNN_FORMULA V derivative(V x, V) const {
    x = min_or_second(V(40), x);
    const V e = exp(x), w = e * (e + V(2)), r = V(1) / (w + V(2)), t = w * r;
    return t + x * (V(2) * r) * (V(1) + t) * (e / (V(1) + e));
  }
};

}  // namespace activation

// Turns the activation named at run time into a type: f is called with the formula of `kind` and is
// compiled once for each, so keep whole loops, not single elements, inside it.
//   with_activation(kind, alpha, [&](auto act) { for (...) act.forward(...).store(...); });
template <class F>
FASTNN_FORMULA decltype(auto) with_activation(Activation kind, double alpha, F&& f) {
  if (kind == Activation::leaky_relu && alpha == 0) kind = Activation::relu;  // y has lost x's sign
  switch (kind) {
#define FASTNN_X(name, reads) \
  case Activation::name:      \
    return f(activation::name{{alpha}});
    FASTNN_ACTIVATIONS(FASTNN_X)
#undef FASTNN_X
  }
  __builtin_unreachable();  // the gate admits no other kind
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
