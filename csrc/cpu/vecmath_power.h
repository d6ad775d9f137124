// pow on Vec<float> and Vec<double>, as vecmath.h: e^(y log x) with log x in two parts; 1 ULP.
#pragma once

#include "cpu/vecmath.h"

namespace fastnn::FASTNN_ISA {

// Lane by lane, for the rare.
FASTNN_INLINE double pow(double x, double y) { return __builtin_pow(x, y); }

// A number in two parts: the lower one holds what the upper one's rounding left over.
template <class T>
struct Pair {
  Vec<T> high, low;
};

// x = 2^k m, m in [0.7, 1.4); one of sixteen c with |c m - 1| < 0.031, and -log c in two parts, the
// upper one of so few bits that k ln2_high can be added to it without rounding. c is 1 around 1.
template <class T>
struct LogTable;
template <>
struct LogTable<float> {
  static constexpr float c[16] = {0x1.66p+0, 0x1.57p+0, 0x1.49p+0, 0x1.3dp+0, 0x1.31p+0, 0x1.26p+0,
                                  0x1.1cp+0, 0x1.12p+0, 0x1.09p+0, 0x1p+0,    0x1.e6p-1, 0x1.cap-1,
                                  0x1.b2p-1, 0x1.9cp-1, 0x1.88p-1, 0x1.76p-1};
  static constexpr float high[16] = {
      -0x1.5768p-2, -0x1.2b94p-2, -0x1.00e8p-2, -0x1.b5b8p-3, -0x1.66bp-3,
      -0x1.1b7p-3,  -0x1.a92p-4,  -0x1.165p-4,  -0x1.1bp-5,   0,
      0x1.aaep-5,   0x1.c88p-4,   0x1.528p-3,   0x1.bd08p-3,  0x1.1178p-2,
      0x1.419cp-2};
  static constexpr float low[16] = {
      0x1.1d1754p-19f,  0x1.f8a8ecp-19f,  0x1.3ba52ap-18f,  0x1.730b82p-18f,  0x1.95ec6ap-18f,
      -0x1.56a97cp-18f, -0x1.b4e92cp-18f, -0x1.b7751cp-19f, -0x1.b31248p-18f, 0,
      0x1.e5a1f6p-18f,  0x1.6006f2p-18f,  -0x1.a1b5e4p-19f, 0x1.ce0ef6p-21f,  0x1.d044fcp-19f,
      -0x1.7b8542p-19f};
  static constexpr int32_t from_bits = 0x3f330000;
};
template <>
struct LogTable<double> {
  static constexpr double c[16] = {0x1.66p+0, 0x1.57p+0, 0x1.49p+0, 0x1.3dp+0, 0x1.31p+0, 0x1.26p+0,
                                   0x1.1cp+0, 0x1.12p+0, 0x1.09p+0, 0x1p+0,    0x1.e6p-1, 0x1.cap-1,
                                   0x1.b2p-1, 0x1.9cp-1, 0x1.88p-1, 0x1.76p-1};
  static constexpr double high[16] = {-0x1.5767717456p-2, -0x1.2b9303ab8ap-2,
                                      -0x1.00e6c45ad5p-2, -0x1.b5b519e8fcp-3,
                                      -0x1.66acd4272ap-3, -0x1.1b72ad52f6p-3,
                                      -0x1.a926d3a4acp-4, -0x1.16536eea38p-4,
                                      -0x1.1b0d98924p-5,  0,
                                      0x1.aaef2d0fbp-5,   0x1.c885801bc4p-4,
                                      0x1.527e5e4a1cp-3,  0x1.bd087383bep-3,
                                      0x1.1178e8227ep-2,  0x1.419b423d5fp-2};
  static constexpr double low[16] = {0x1.64ead9524d7cap-44,  0x1.6db12d6bfb0a5p-45,
                                     -0x1.cc68d52e01203p-50, 0x1.4b722ec011f31p-44,
                                     -0x1.aa1bdbfc6c785p-44, -0x1.e80a41811a396p-45,
                                     -0x1.563650bd22a9cp-44, 0x1.47c5e768fa309p-46,
                                     0x1.3401e9ae889bbp-44,  0,
                                     0x1.0fc1a353bb42ep-45,  0x1.646d1c65aacd3p-45,
                                     -0x1.4e60b8d4b411dp-44, -0x1.d4bc4595412b6p-45,
                                     0x1.1ef78ce2d07f2p-44,  -0x1.ce379226de3ecp-44};
  static constexpr int64_t from_bits = 0x3fe6600000000000;
};

// y log x for a finite x > 0, to some 2^-11 units of the last place; needs fma. Only where
// `any_size` may x be subnormal.
template <bool any_size, class T>
FASTNN_INLINE Pair<T> times_log(Vec<T> y, Vec<T> x) {
  using V = Vec<T>;
  using Int = typename V::Int;
  using L = MathLimits<T>;
  using Table = LogTable<T>;
  constexpr int bits = Lanes<T>::mantissa_bits;
  V k0(0);
  if constexpr (any_size) {
    const Mask<T> subnormal = x < V(L::min_normal);
    k0 = select(subnormal, V(L::subnormal_exponent), k0);
    x = select(subnormal, x * V(L::subnormal_scale), x);
  }
  const Int above = x.bits() - Table::from_bits;
  const V m = V::from_bits(x.bits() - (above >> bits << bits));
  V k = to_float(above >> bits);
  if constexpr (any_size) k = k - k0;
  const Int index = above >> (bits - 4);
  const V c = lookup16(Table::c, index);
  const V cm = c * m, r = cm - V(1), r_low = fma(c, m, -cm);
  const V half = V((T)0.5) * r, square = half * r, square_low = fma(half, r, -square);
  V p;  // (log(1 + r) - r + r^2 / 2) / r^3; error in log(1 + r) / r: 2^-37.6, 2^-68.3
  if constexpr (sizeof(T) == 4)
    p = horner(r, 3.3333328e-01f, -2.4999991e-01f, 2.0018858e-01f, -1.668724e-01f);
  else
    p = horner(r, 0.3333333333333333, -0.24999999999999267, 0.19999999999997314,
               -0.16666666672936106, 0.14285714298262647, -0.12499982240390681, 0.11111085944171169,
               -0.10020515694750355, 0.09113726814310842);
  // The terms fall off fast enough for each difference to be what its sum rounded away.
  const V a = fma(k, V(ln2_high<T>), lookup16(Table::high, index));
  const V b = a + r, sum = b - square;
  const V low = ((r - (b - a)) + ((b - sum) - square)) + (fma(-r, r_low, r_low) - square_low) +
                fma(k, V(ln2_low<T>), lookup16(Table::low, index));
  const V rest = fma((square + square) * r, p, low);
  const V high = y * sum;
  return {high, fma(y, rest, fma(y, sum, -high))};
}

// From here on e^x is infinite, and e^-x is 0; and it is still within the range of scale2.
template <class T>
constexpr T exp_far = (T)1.9 * MathLimits<T>::exp_infinite;

// 0.9 ULP, for |x.high| up to exp_far.
template <class T>
FASTNN_INLINE Vec<T> exp(Pair<T> x) {
  using V = Vec<T>;
  const V n = round_by_ln2(x.high);
  const V exact = fma(n, V(-ln2_high<T>), x.high), rest = fma(n, V(-ln2_low<T>), x.low);
  const V r = exact + rest, sum = exact + V(1);
  const V tail = fma(r * r, exp_tail(r), ((V(1) - sum) + exact) + rest);
  return scale2(sum + tail, n);
}

// x^y as C99 defines it, given r = |x|^y for numbers other than 0 and infinity: 1 where y = 0 or
// x = 1, whatever the other; for x < 0, NaN unless y is an integer.
template <class T>
FASTNN_INLINE Vec<T> pow_everywhere(Vec<T> x, Vec<T> y, Vec<T> r) {
  using V = Vec<T>;
  const V a = abs(x), inf(infinity<T>), zero(0), half_y = y * V((T)0.5);
  const Mask<T> y_ends = abs(y) == inf;
  const Mask<T> integer = floor(y) == y, odd = integer & (floor(half_y) != half_y);
  r = select((a == zero) | (a == inf), select(y < zero, V(1) / a, a), r);
  r = select(odd, copysign(r, x), r);
  r = select((x < zero) & (x > -inf) & !integer, V(quiet_nan<T>), r);
  r = select(y_ends, max_or_second(zero, select(a > V(1), y, -y)), r);
  r = select(is_nan(x) | is_nan(y), x + y, r);
  return select((y == zero) | (x == V(1)) | (y_ends & (a == V(1))), V(1), r);
}

#if FASTNN_HAS_FMA
// The same for any x and y, in memory because it is rare and long.
template <class T>
FASTNN_OUTLINE void pow_anywhere(const T* x, const T* y, T* r) {
  using V = Vec<T>;
  const V a = V::load(x), b = V::load(y);
  Pair<T> t = times_log<true>(b, abs(a));
  t.high = max_or_second(-exp_far<T>, min_or_second(exp_far<T>, t.high));
  t.low = max_or_second((T)-1, min_or_second((T)1, t.low));
  pow_everywhere(a, b, exp(t)).store(r);
}

// x^y given t = y log x, which holds for normal x > 0.
template <class T>
FASTNN_INLINE Vec<T> exp_of_pow(Vec<T> x, Vec<T> y, Pair<T> t) {
  using V = Vec<T>;
  V r = exp(t);
  if (__builtin_expect(!all(positive_normal(x) & (abs(t.high) < V(exp_far<T>))), 0)) {
    T given[2][V::size], result[V::size];
    x.store(given[0]);
    y.store(given[1]);
    pow_anywhere(given[0], given[1], result);
    r = V::load(result);
  }
  return r;
}

template <class T>
FASTNN_INLINE Vec<T> pow(Vec<T> x, Vec<T> y) {
  return exp_of_pow(x, y, times_log<false>(y, x));
}

// r = x^y over arrays. A loop over each half of the work keeps more elements in flight than one
// over both: the latencies add up to more than a processor looks ahead.
template <class T>
FASTNN_OUTLINE void pow_run(const T* x, const T* y, T* r, int64_t n) {
  using V = Vec<T>;
  constexpr int64_t block = 32 * V::size;
  alignas(64) T high[block], low[block];
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t end = n - begin < block ? n - begin : block;
    for (int64_t i = 0; i < end; i += V::size) {
      const Pair<T> t =
          times_log<false>(V::load_n(y + begin + i, end - i), V::load_n(x + begin + i, end - i));
      t.high.store(high + i);
      t.low.store(low + i);
    }
    for (int64_t i = 0; i < end; i += V::size)
      exp_of_pow(V::load_n(x + begin + i, end - i), V::load_n(y + begin + i, end - i),
                 {V::load(high + i), V::load(low + i)})
          .store_n(r + begin + i, end - i);
  }
}
#else  // without exact products: in double, and doubles lane by lane through the C library
FASTNN_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) {
  const Vec<float> a = abs(x);
  return pow_everywhere(
      x, y, from_f64(exp(low_f64(y) * log(low_f64(a))), exp(high_f64(y) * log(high_f64(a)))));
}
FASTNN_INLINE Vec<double> pow(Vec<double> x, Vec<double> y) {
  Vec<double> r;
  for (int i = 0; i < Vec<double>::size; ++i) r.v[i] = pow(x[i], y[i]);
  return r;
}
template <class T>
FASTNN_OUTLINE void pow_run(const T* x, const T* y, T* r, int64_t n) {
  using V = Vec<T>;
  for (int64_t i = 0; i < n; i += V::size)
    pow(V::load_n(x + i, n - i), V::load_n(y + i, n - i)).store_n(r + i, n - i);
}
#endif

}  // namespace fastnn::FASTNN_ISA
