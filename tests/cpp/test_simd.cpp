// Every operation of simd.h and simd_lanes.h, lane by lane, against the same on plain numbers.
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#include "cpu/simd_lanes.h"

using namespace fastnn::FASTNN_ISA;

namespace {

bool failed = false;

// Equal to the bit, except that every NaN equals every other.
template <class T>
void expect(T got, T wanted, const char* what, double x, double y = 0) {
  if (std::isnan(got) && std::isnan(wanted)) return;
  if (std::memcmp(&got, &wanted, sizeof got) == 0) return;
  failed = true;
  std::printf("FAIL %s<%s>(%a, %a): got %a, expected %a\n", what,
              sizeof(T) == 4 ? "float" : "double", x, y, (double)got, (double)wanted);
}

template <class T>
void check_elementwise() {
  using V = Vec<T>;
  using L = std::numeric_limits<T>;
  const T values[] = {0,
                      -(T)0,
                      1,
                      -1,
                      (T)0.5,
                      (T)-0.5,
                      (T)1.5,
                      (T)-1.5,
                      (T)2.5,
                      (T)-2.5,
                      (T)0.3,
                      (T)-0.3,
                      (T)0.49999997,
                      3,
                      (T)1e6 + (T)0.5,
                      (T)-8388609,
                      (T)1e30,
                      L::max(),
                      L::min(),
                      -L::denorm_min(),
                      L::infinity(),
                      -L::infinity(),
                      L::quiet_NaN()};
  for (T x : values) {
    const V v(x);
    const auto unary = [&](const char* name, V got, T wanted) {
      for (int i = 0; i < V::size; ++i) expect(got[i], wanted, name, x);
    };
    unary("broadcast", v, x);
    unary("negate", -v, -x);
    unary("abs", abs(v), std::fabs(x));
    unary("sqrt", sqrt(v), std::sqrt(x));
    unary("floor", floor(v), std::floor(x));
    unary("round_nearest", round_nearest(v), std::nearbyint(x));
    unary("bits", V::from_bits(v.bits()), x);
    if (std::fabs(x) < 1e9 && x == std::floor(x)) unary("to_int", to_float(to_int(v)), x + 0);
    const int powers[] = {0, 1, -1, 23, -24, 100, -100, 127, -126, -130, 128, 250, -250};
    for (int n : powers)
      if (x == 0 || std::fabs(x) > 1e-30) unary("scale2", scale2(v, V((T)n)), std::ldexp(x, n));

    for (T y : values) {
      const V w(y);
      const auto binary = [&](const char* name, V got, T wanted) {
        for (int i = 0; i < V::size; ++i) expect(got[i], wanted, name, x, y);
      };
      const auto truth = [&](const char* name, Mask<T> got, bool wanted) {
        binary(name, select(got, V(1), V(2)), wanted ? 1 : 2);
        expect<T>(any(got), wanted, name, x, y);
        expect<T>(all(got), wanted, name, x, y);
      };
      const T nan = L::quiet_NaN();
      const bool unordered = std::isnan(x) || std::isnan(y);
      binary("+", v + w, x + y);
      binary("-", v - w, x - y);
      binary("*", v * w, x * y);
      binary("/", v / w, x / y);
      binary("max_or_second", max_or_second(v, w), x > y ? x : y);
      binary("min_or_second", min_or_second(v, w), x < y ? x : y);
      binary("max", max(v, w), unordered ? nan : x > y ? x : y);
      binary("min", min(v, w), unordered ? nan : x < y ? x : y);
      binary("copysign", copysign(v, w), std::copysign(x, y));
      binary("fma", fma(v, w, V((T)0.1)), FASTNN_HAS_FMA ? std::fma(x, y, (T)0.1) : x * y + (T)0.1);
      truth("<", v < w, x < y);
      truth("<=", v <= w, x <= y);
      truth(">", v > w, x > y);
      truth(">=", v >= w, x >= y);
      truth("==", v == w, x == y);
      truth("!=", v != w, x != y);
      truth("and, not", (v <= w) & !(v == w), x < y);
      truth("or", (v < w) | (v > w), x < y || x > y);
      truth("is_nan", is_nan(v + w), std::isnan(x + y));
    }
  }
}

// Each lane on its own: a load, a store or a fold that mixes lanes up shows here.
template <class T>
void check_lanes() {
  using V = Vec<T>;
  T a[V::size], out[V::size];
  for (int i = 0; i < V::size; ++i) a[i] = (T)(i + 1) / 3;
  const V v = V::load(a);
  v.store(out);
  for (int i = 0; i < V::size; ++i) expect(out[i], a[i], "load and store", i);

  // any() and all() with a single odd lane, and reductions with the extreme or the NaN anywhere.
  for (int odd = 0; odd < V::size; ++odd) {
    T b[V::size];
    std::memcpy(b, a, sizeof b);
    b[odd] = -7;
    expect<T>(any(V::load(b) < V(0)), 1, "any", odd);
    expect<T>(all(V::load(b) > V(0)), 0, "all", odd);
    expect<T>(reduce_min(V::load(b)), -7, "reduce_min", odd);
    b[odd] = 70;
    expect<T>(reduce_max(V::load(b)), 70, "reduce_max", odd);
    b[odd] = std::numeric_limits<T>::quiet_NaN();
    expect(reduce_max(V::load(b)), b[odd], "reduce_max", odd);
    expect(reduce_min(V::load(b)), b[odd], "reduce_min", odd);
  }
  // The documented order of a sum: fold the upper half onto the lower.
  T fold[V::size];
  std::memcpy(fold, a, sizeof fold);
  for (int n = V::size / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) fold[i] += fold[i + n];
  expect(reduce_add(v), fold[0], "reduce_add", 0);
}

// Arrays that end exactly where unreadable memory begins: one byte too many is a crash.
template <class T>
void check_tails() {
  using V = Vec<T>;
  constexpr size_t page = 4096;
  char* pages =
      (char*)mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(pages + page, page, PROT_NONE);
  T* const end = (T*)(pages + page);
  for (int n = -1; n <= V::size + 1; ++n) {
    const int used = n < 0 ? 0 : n > V::size ? V::size : n;
    T* const p = end - used;
    for (int i = 0; i < used; ++i) p[i] = (T)(i + 1);
    p[-1] = 99;
    const V v = V::load_n(p, n);
    for (int i = 0; i < V::size; ++i) expect<T>(v[i], i < used ? i + 1 : 0, "load_n", n, i);
    (v + V(10)).store_n(p, n);
    for (int i = 0; i < used; ++i) expect<T>(p[i], i + 11, "store_n", n, i);
    expect<T>(p[-1], 99, "store_n before", n);
    for (int i = 0; i < V::size; ++i)
      expect<T>(select(first_n<T>(n), V(1), V(0))[i], i < used, "first_n", n, i);
  }
  munmap(pages, 2 * page);
}

void check_widening() {
  float a[Vec<float>::size];
  for (int i = 0; i < Vec<float>::size; ++i) a[i] = 1.1f * (float)(i + 1);
  const Vec<double> low = low_f64(Vec<float>::load(a)), high = high_f64(Vec<float>::load(a));
  for (int i = 0; i < Vec<double>::size; ++i) {
    expect<double>(low[i], a[i], "low_f64", i);
    expect<double>(high[i], a[i + Vec<double>::size], "high_f64", i);
  }
  const Vec<float> back = from_f64(low, high);
  for (int i = 0; i < Vec<float>::size; ++i) expect(back[i], a[i], "from_f64", i);
  expect<float>(to_float(to_int(Vec<float>(-2.7f)))[0], -2, "to_int truncates", -2.7);
}

template <class T>
void check_all() {
  check_elementwise<T>();
  check_lanes<T>();
  check_tails<T>();
}

}  // namespace

int main() {
  check_all<float>();
  check_all<double>();
  check_widening();
  std::puts(failed ? "simd: FAILED" : "simd: ok");
  return failed;
}
