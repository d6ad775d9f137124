// Every activation and derivative of activations.h, on vectors and on plain numbers, against its
// textbook formula in long double and that formula's central difference.
#include <cmath>
#include <cstdio>
#include <limits>

#include "activations.h"

using namespace fastnn;
using namespace fastnn::FASTNN_ISA;
using Real = long double;

namespace {

constexpr double alpha = 0.3;
bool failed = false;

Real textbook(Activation kind, Real x) {
  using A = Activation;
  const Real pi = std::acos((Real)-1);
  switch (kind) {
    case A::linear:
      return x;
    case A::step:
      return x > 0;
    case A::sigmoid:
      return 1 / (1 + std::exp(-x));
    case A::tanh:
      return std::tanh(x);
    case A::relu:
      return std::fmax(x, (Real)0);
    case A::relu6:
      return std::fmin(std::fmax(x, (Real)0), (Real)6);
    case A::leaky_relu:
      return x > 0 ? x : (Real)alpha * x;
    case A::elu:
      return x > 0 ? x : (Real)alpha * std::expm1(x);
    case A::selu:
      return 1.0507009873554805L * (x > 0 ? x : 1.6732632423543772L * std::expm1(x));
    case A::gelu:
      return x * std::erfc(-x / std::sqrt((Real)2)) / 2;
    case A::gelu_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715L * x * x * x)));
    case A::silu:
      return x / (1 + std::exp(-x));
    case A::softplus:
      return x > 40 ? x : std::log1p(std::exp(x));
    case A::softsign:
      return x / (1 + std::fabs(x));
    case A::hard_sigmoid:
      return std::fmin(std::fmax(x / 6 + 0.5L, (Real)0), (Real)1);
    case A::hard_silu:
      return x * std::fmin(std::fmax(x / 6 + 0.5L, (Real)0), (Real)1);
    case A::exponential:
      return std::exp(x);
    case A::mish:
      return x * std::tanh(x > 40 ? x : std::log1p(std::exp(x)));
  }
  return NAN;
}

void expect(bool good, const char* name, const char* what, double x, double got, double wanted) {
  if (good) return;
  failed = true;
  std::printf("FAIL %s %s at x = %.9g: got %.17g, expected %.17g\n", name, what, x, got, wanted);
}

// As on a vector, with the first lane taken out.
template <class V>
struct One {
  using T = typename V::Scalar;
  static T of(V v) { return v[0]; }
};
template <>
struct One<float> {
  using T = float;
  static T of(float v) { return v; }
};
template <>
struct One<double> {
  using T = double;
  static T of(double v) { return v; }
};

template <class V>
void check(Activation kind, const char* name) {
  using T = typename One<V>::T;
  // A few roundings, relative to y or to the 1 that some formulas add and cancel in the far tail.
  const double epsilon = std::numeric_limits<T>::epsilon();
  with_activation(kind, alpha, [&](auto act) {
    expect(act.kind == kind, name, "dispatch", 0, (int)act.kind, (int)kind);
    const auto forward = [&](T x)
                             __attribute__((noinline)) { return One<V>::of(act.forward(V(x))); };
    const auto derivative = [&](T x) __attribute__((noinline)) {
      const T y = forward(x), unread = std::numeric_limits<T>::quiet_NaN();
      return One<V>::of(act.derivative(V(act.reads == DerivativeReads::input ? x : unread),
                                       V(act.reads == DerivativeReads::output ? y : unread)));
    };
    for (double at = -30; at < 30; at += 0.0137) {
      const T x = (T)at;
      const Real y = textbook(kind, x), h = 1e-6L;
      const Real dy = (textbook(kind, x + h) - textbook(kind, x - h)) / (2 * h);
      const double y_tolerance = 6 * epsilon * std::fmax(1.0, (double)std::fabs(y));
      const double dy_tolerance = (8 * epsilon + 1e-11) * std::fmax(1.0, (double)std::fabs(dy));
      expect(std::fabs(forward(x) - y) <= y_tolerance, name, "forward", x, forward(x), (double)y);
      expect(std::fabs(derivative(x) - dy) <= dy_tolerance, name, "derivative", x, derivative(x),
             (double)dy);
    }
    // Far out every derivative that grows no further is finite, and forward is right.
    const T far[] = {(T)-1e30, (T)-500, (T)500, (T)1e30};
    for (T x : far) {
      if (kind == Activation::exponential) break;
      const Real y = textbook(kind, x);
      const Real tolerance = 6 * epsilon * std::fabs(y) + std::numeric_limits<T>::min();
      expect(std::fabs(forward(x) - y) <= tolerance, name, "far forward", x, forward(x), (double)y);
      expect(std::fabs(derivative(x)) <= 2, name, "far derivative", x, derivative(x), 0);
    }
    const T nan = std::numeric_limits<T>::quiet_NaN();
    if (kind != Activation::step)
      expect(std::isnan(forward(nan)), name, "forward of NaN", nan, forward(nan), nan);
  });
}

}  // namespace

int main() {
#define FASTNN_X(name, reads)                             \
  check<Vec<float>>(Activation::name, #name " floats");   \
  check<Vec<double>>(Activation::name, #name " doubles"); \
  check<float>(Activation::name, #name " float");         \
  check<double>(Activation::name, #name " double");
  FASTNN_ACTIVATIONS(FASTNN_X)
#undef FASTNN_X
  std::puts(failed ? "activations: FAILED" : "activations: ok");
  return failed;
}
