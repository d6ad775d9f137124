// Largest error of every function in vecmath.h, in units of the last place (ULP), against the C
// library in the next wider type; fails above the bound that vecmath.h states.
//
//   test_vecmath               every 1021st float (4.2 million), 300,000 doubles, special values
//   test_vecmath --exhaustive  all 2^32 floats instead: some minutes per function
//   test_vecmath --time        ns per element in an array that fits the L1 cache; checks nothing
// followed, if not all of them are wanted, by the names of functions: test_vecmath --time exp tanh
//
// Build it once per instruction set with the flags of the kernels; tests/test_cpp.py does.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#include "cpu/vecmath_power.h"
#include "cpu/vecmath_trig.h"

using namespace fastnn::FASTNN_ISA;

namespace {

template <class T>
struct Wider {
  using type = double;
  using Bits = uint32_t;
};
template <>
struct Wider<double> {
  using type = long double;
  using Bits = uint64_t;
};

template <class T>
T from_pattern(typename Wider<T>::Bits bits) {
  T x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

template <class W, class T>
double error_in_ulp(T got, W exact) {
  const T rounded = (T)exact;
  if (std::isnan(rounded) || std::isnan(got))
    return std::isnan(rounded) && std::isnan(got) ? 0 : INFINITY;
  if (rounded == 0 && got == 0) return std::signbit(got) == std::signbit(rounded) ? 0 : INFINITY;
  if (got == rounded) return 0.5;  // correctly rounded
  if (std::isinf(exact)) return INFINITY;
  using L = std::numeric_limits<T>;
  const W value = std::isinf(got) ? std::copysign(std::ldexp((W)1, L::max_exponent), (W)got) : got;
  const int exponent = std::fmax(std::ilogb(exact), L::min_exponent - 1);
  return (double)(std::fabs(value - exact) / std::ldexp((W)1, exponent - L::digits + 1));
}

template <class T>
struct Worst {
  double ulp = 0;
  T x = 0, y = 0, got = 0;
};

// f on whole vectors against `exact` on numbers, at x (and y, for functions of two).
// Not inlined: f is long, and the sweeps call this from many places.
template <class T, class F, class Exact>
__attribute__((noinline)) void compare(const T* x, const T* y, F f, Exact exact, Worst<T>& worst) {
  using V = Vec<T>;
  using W = typename Wider<T>::type;
  T out[V::size];
  f(V::load(x), V::load(y)).store(out);
  for (int i = 0; i < V::size; ++i) {
    const double e = error_in_ulp<W>(out[i], exact((W)x[i], (W)y[i]));
    if (e > worst.ulp) worst = {e, x[i], y[i], out[i]};
  }
}

// A generator of 64 well-mixed bits (Steele, Lea & Flood, 2014: splitmix64).
uint64_t mix(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Range ends, zeros of the functions, ties, and the worst floats that exhaustive sweeps found.
template <class T>
constexpr T special_values[] = {0,
                                1,
                                (T)0.5,
                                2,
                                3,
                                4,
                                (T)1.5,
                                (T)2.5,
                                (T)1e-3,
                                10,
                                100,
                                1000,
                                (T)88.72283,
                                (T)88.8,
                                (T)709.78271,
                                (T)709.8,
                                (T)745.1,
                                (T)103.9,
                                (T)104.1,
                                (T)3.1415927,
                                (T)6.2831853,
                                (T)1e5,
                                (T)1e8,
                                (T)1e15,
                                (T)0.6931472,
                                (T)0.34657359,
                                (T)0.70710678,
                                (T)9.01,
                                (T)5.9,
                                (T)6.1,
                                (T)3.95,
                                (T)16777215,
                                (T)0x1.432ee6p6,
                                (T)0x1.205368p2,
                                (T)-0x1.0a111ap2,
                                std::numeric_limits<T>::min(),
                                std::numeric_limits<T>::denorm_min(),
                                std::numeric_limits<T>::min() / 2,
                                std::numeric_limits<T>::max(),
                                std::numeric_limits<T>::epsilon(),
                                std::numeric_limits<T>::infinity(),
                                std::numeric_limits<T>::quiet_NaN()};

bool exhaustive = false, timing = false, failed = false;
char** names = nullptr;  // the functions wanted, ended by a null pointer; none: all

bool wanted(const char* name) {
  bool found = !*names;
  for (char** n = names; *n; ++n) found |= !std::strcmp(*n, name);
  return found;
}

template <class T, class F>
void time(const char* name, F f) {
  using V = Vec<T>;
  constexpr int n = 1024;
  alignas(64) static T x[n], y[n];
  uint64_t state = 1;
  for (T& v : x) v = (T)(mix(state) >> 40) / (T)(1 << 24) * 8 + (T)0.01;
  double best = INFINITY;
  for (int trial = 0; trial < 50; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    for (int pass = 0; pass < 50; ++pass) {
      for (int i = 0; i < n; i += V::size) f(V::load(x + i), V(2.5)).store(y + i);
      asm volatile("" ::: "memory");
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    best = std::fmin(best, spent.count() / (50.0 * n));
  }
  std::printf("%-8s %-7s %6.3f ns\n", name, sizeof(T) == 4 ? "float" : "double", best);
}

// pow is a function of two, so half of its bits go to y; sweeps of one variable ignore y.
template <class T, class F, class Exact>
void check(const char* name, double bound, F f, Exact exact, bool binary = false) {
  using V = Vec<T>;
  using Bits = typename Wider<T>::Bits;
  if (!wanted(name)) return;
  if (timing) return time<T>(name, f);
  Worst<T> worst;
  T x[V::size] = {}, y[V::size] = {};
  int filled = 0;
  const auto add = [&](T xi, T yi) __attribute__((noinline)) {
    x[filled] = xi, y[filled] = yi;
    if (++filled < V::size) return;
    filled = 0;
    compare(x, y, f, exact, worst);
  };

  for (T a : special_values<T>) {
    const T away = std::numeric_limits<T>::max();
    const T near[] = {a, -a, std::nextafter(a, (T)0), std::nextafter(a, away)};
    for (T s : near) {
      if (!binary)
        add(s, 0);
      else
        for (T b : special_values<T>) add(s, b), add(s, -b);
    }
  }
  if (sizeof(T) == 4) {
    const uint64_t stride = exhaustive && !binary ? 1 : 1021;
    uint64_t state = 3;
    for (uint64_t b = 0; b < (uint64_t(1) << 32); b += stride)
      add(from_pattern<T>((Bits)b), binary ? (T)((double)mix(state) / 0x1p62 - 2) : 0);
  } else {
    uint64_t state = 7;
    for (int i = 0; i < 100000; ++i) {
      const T yi = (T)mix(state) / (T)0x1p61 - 4;
      add(from_pattern<T>((Bits)mix(state)), yi);
      add((T)mix(state) / (T)0x1p60 - 8, yi);  // [-8, 8), where the interesting things happen
      add((T)mix(state) / (T)0x1p53 - 1024, yi);
    }
  }
  while (filled) add(1, 1);

  const bool good = worst.ulp <= bound;
  failed |= !good;
  std::printf("%-8s %-7s %6.3f ULP  bound %4.1f  %s  at x = %a, y = %a: %a\n", name,
              sizeof(T) == 4 ? "float" : "double", worst.ulp, bound, good ? "ok  " : "FAIL",
              (double)worst.x, (double)worst.y, (double)worst.got);
}

template <class T>
void check_all() {
  using V = Vec<T>;
  using W = typename Wider<T>::type;
  check<T>("exp", 1.1, [](V x, V) { return exp(x); }, [](W x, W) { return std::exp(x); });
  check<T>("expm1", 2, [](V x, V) { return expm1(x); }, [](W x, W) { return std::expm1(x); });
  check<T>("log", 1.5, [](V x, V) { return log(x); }, [](W x, W) { return std::log(x); });
  check<T>("log1p", 2, [](V x, V) { return log1p(x); }, [](W x, W) { return std::log1p(x); });
  check<T>("tanh", 3, [](V x, V) { return tanh(x); }, [](W x, W) { return std::tanh(x); });
  check<T>(
      "sigmoid", 3, [](V x, V) { return sigmoid(x); },
      [](W x, W) {
        const W e = std::exp(-std::fabs(x));
        return (x < 0 ? e : 1) / (1 + e);
      });
  check<T>("erf", 2.5, [](V x, V) { return erf(x); }, [](W x, W) { return std::erf(x); });
  check<T>("sin", 2, [](V x, V) { return sin(x); }, [](W x, W) { return std::sin(x); });
  check<T>("cos", 2, [](V x, V) { return cos(x); }, [](W x, W) { return std::cos(x); });
  check<T>(
      "pow", 1, [](V x, V y) { return pow(x, y); }, [](W x, W y) { return std::pow(x, y); }, true);
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line as soon as a long sweep has it
  int used = 1;
  for (; used < argc && argv[used][0] == '-'; ++used) {
    exhaustive |= !std::strcmp(argv[used], "--exhaustive");
    timing |= !std::strcmp(argv[used], "--time");
  }
  names = argv + used;
  check_all<float>();
  check_all<double>();
  return failed;
}
