// Elementwise kernels and Adam against plain double code, at every remainder of a pack and a block.
#include "check.h"
#include "launches.h"

using namespace test;

namespace {

const std::initializer_list<int64_t> kSizes = {0,   1,    2,    3,    4,    5,    255,  256,
                                               257, 1023, 1024, 1025, 4095, 4096, 4097, 8209};

// launch(x, z, y, n) against f(x, z), within `units` units in the last place.
template <class T, class Launch, class F>
void check(const char* name, double units, Launch launch, F f) {
  for (int64_t n : kSizes)
    for (int64_t offset : {0, 1}) {
      const auto x = normal<T>(n, 1), z = normal<T>(n, 2);
      std::vector<double> want(n);
      for (int64_t i = 0; i < n; ++i)
        want[i] = f(static_cast<double>(x[i]), static_cast<double>(z[i]));
      Array<T> dx(x, offset), dz(z, offset);
      every_schedule([&] {
        Array<T> y(n, offset);
        launch(dx.get(), dz.get(), y.get(), n);
        expect_close(
            y.host(), want, [&](std::size_t i) { return std::abs(want[i]) * units * kEps<T>; },
            std::string(name) + " " + shape_text({n, offset}));
      });
    }
}

template <class T>
void check_all() {
  check<T>(
      "fill", 0, [](T*, T*, T* y, int64_t n) { fill_launch<T>(y, T(2.5), n, nullptr); },
      [](double, double) { return 2.5; });
  check<T>(
      "sgd", 2,
      [](T* x, T* z, T* y, int64_t n) {
        Array<double> rate(std::vector<double>{-1});
        copy_on_device(y, x, n * sizeof(T), nullptr);
        sgd_launch<T>(y, z, rate, n, nullptr);
      },
      [](double x, double z) { return x + z; });
  check<T>(
      "relu", 0,
      [](T* x, T*, T* y, int64_t n) {
        activation_launch<T>(x, y, n, Activation::relu, 0, nullptr);
      },
      [](double x, double) { return x > 0 ? x : 0; });
  check<T>(
      "relu_grad", 0,
      [](T* x, T* z, T* y, int64_t n) {
        activation_grad_launch<T>(nullptr, x, z, y, n, Activation::relu, 0, nullptr);
      },
      [](double x, double z) { return x > 0 ? z : 0; });
  check<T>(
      "sigmoid", 4,
      [](T* x, T*, T* y, int64_t n) {
        activation_launch<T>(x, y, n, Activation::sigmoid, 0, nullptr);
      },
      [](double x, double) { return 1 / (1 + std::exp(-x)); });
}

}  // namespace

CASE(elementwise_float) { check_all<float>(); }
CASE(elementwise_double) { check_all<double>(); }

CASE(elementwise_in_place_and_nan) {
  std::vector<float> x = normal<float>(1001, 1);
  x[7] = NAN;
  Array<float> d(x);
  activation_launch<float>(d, d, 1001, Activation::relu, 0, nullptr);
  const auto h = d.host();
  expect(std::isnan(h[7]), "relu keeps NaN");
  for (int i = 0; i < 1001; ++i) expect(i == 7 || h[i] == std::max(x[i], 0.0f), "relu in place");
}

template <class T>
static void check_adam(int64_t n, int64_t offset) {
  const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  const double lr = 0.001, decay = 0.01;
  const auto p0 = normal<T>(n, 1);
  every_schedule([&] {
    Array<T> p(p0, offset), m(std::vector<T>(n), offset), v(std::vector<T>(n), offset);
    Array<double> rate(std::vector<double>{lr});
    std::vector<double> rp(p0.begin(), p0.end()), rm(n), rv(n);
    for (int32_t t = 1; t <= 3; ++t) {
      const auto g = normal<T>(n, 10 + t);
      Array<T> dg(g, offset);
      Array<int32_t> step(std::vector<int32_t>{t});
      adam_launch<T>(p, dg, m, v, rate, step, beta1, beta2, epsilon, decay, n, nullptr);
      const double alpha = lr * std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t));
      for (int64_t i = 0; i < n; ++i) {
        rm[i] += (g[i] - rm[i]) * (1 - beta1);
        rv[i] += (g[i] * static_cast<double>(g[i]) - rv[i]) * (1 - beta2);
        rp[i] = rp[i] * (1 - decay * lr) - alpha * rm[i] / (std::sqrt(rv[i]) + epsilon);
      }
    }
    // Each of 3 steps moves p by at most about lr and rounds p, m and v a few times; m may cancel,
    // so it is measured against the gradients' size.
    expect_close(
        p.host(), rp,
        [&](std::size_t i) {
          return 6 * kEps<T> * (std::abs(rp[i]) + 3 * lr) +
                 (sizeof(T) == 4 ? 1e-6 * lr : 1e-14 * lr);
        },
        "adam p");
    expect_close(m.host(), rm, [&](std::size_t) { return 8 * kEps<T>; }, "adam m");
    expect_close(v.host(), rv, [&](std::size_t i) { return 8 * kEps<T> * rv[i]; }, "adam v");
  });
}

CASE(adam) {
  for (int64_t n : kSizes)
    for (int64_t offset : {0, 1}) {
      check_adam<float>(n, offset);
      check_adam<double>(n, offset);
    }
}
