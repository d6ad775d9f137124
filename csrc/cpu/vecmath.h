// exp, expm1, log, log1p, tanh, sigmoid and erf on Vec<float> and Vec<double>; sin and cos are in
// vecmath_trig.h, pow in vecmath_power.h, and all of this holds for them too.
//
// One algorithm for both types; only polynomial lengths and constants differ. All of it is inlined
// into the caller's loop, where independent iterations hide the latency of the Horner chains.
// Every function takes NaN to NaN, knows infinities, signed zeros and subnormal numbers, and works
// in a thread that flushes subnormals (then they count as 0).
//
// Largest error in ULP, with or without FMA, as tests/cpp/test_vecmath.cpp enforces:
//   exp 1.1, log 1.5, expm1 2, log1p 2, tanh 3, sigmoid 3, erf 2.5, sin 2, cos 2, pow 1.
//
// Each polynomial is the minimax one for the relative error of the function it ends up in, from a
// Remez exchange in 50-digit arithmetic, its coefficients then rounded to T. The bound stands
// beside it. The reductions follow Cody & Waite, Software Manual for the Elementary Functions,
// 1980, and the logarithm P. T. P. Tang, ACM TOMS 16, 1990.
#pragma once

#include "cpu/simd_lanes.h"

namespace fastnn::FASTNN_ISA {

// c0 + c1 x + c2 x^2 + ...
template <class T>
FASTNN_INLINE Vec<T> horner(Vec<T>, T c0) {
  return Vec<T>(c0);
}
template <class T, class... Rest>
FASTNN_INLINE Vec<T> horner(Vec<T> x, T c0, Rest... rest) {
  return fma(horner(x, rest...), x, Vec<T>(c0));
}

template <class T>
struct MathLimits;
template <>
struct MathLimits<float> {
  static constexpr float exp_zero = -104, exp_infinite = 89;  // exp is 0 below, infinite above
  static constexpr float expm1_minus1 = -20;                  // expm1 is -1 from here on down
  static constexpr float tiny = 0x1p-26;                      // expm1(x) = x below
  static constexpr float erf_one = 4;                         // erf is 1 from here on
  static constexpr float min_normal = 0x1p-126f, subnormal_scale = 0x1p24f;
  static constexpr int subnormal_exponent = 24;
  static constexpr int32_t sqrt_half_bits = 0x3f3504f3;
};
template <>
struct MathLimits<double> {
  static constexpr double exp_zero = -746, exp_infinite = 710;
  static constexpr double expm1_minus1 = -40;
  static constexpr double tiny = 0x1p-55;
  static constexpr double erf_one = 6;
  static constexpr double min_normal = 0x1p-1022, subnormal_scale = 0x1p54;
  static constexpr int subnormal_exponent = 54;
  static constexpr int64_t sqrt_half_bits = 0x3fe6a09e667f3bcd;
};

template <class T>
constexpr T infinity = (T)__builtin_inf();
template <class T>
constexpr T quiet_nan = (T)__builtin_nan("");

// ln 2 in two parts; n times the upper one is exact for every exponent n, with or without fma.
template <class T>
constexpr T ln2_high = sizeof(T) == 4 ? (T)0x1.63p-1 : (T)0x1.62e42feep-1;
template <class T>
constexpr T ln2_low = sizeof(T) == 4 ? (T)-0x1.bd0105c610ca8p-13 : (T)0x1.a39ef35793c76p-33;

// ---- exponentials -----------------------------------------------------------------------------

// The integer nearest to x / ln 2; |x| must stay below 2^20.
template <class T>
FASTNN_INLINE Vec<T> round_by_ln2(Vec<T> x) {
  // Adding 1.5 2^23 (2^52) rounds to an integer; the sum is exact enough to be taken away again.
  const Vec<T> shift(Lanes<T>::integral_above * (T)1.5);
  return fma(x, Vec<T>((T)0x1.71547652b82fep+0), shift) - shift;
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2; error in e^r: 2^-28.2, 2^-62.
template <class T>
FASTNN_INLINE Vec<T> exp_tail(Vec<T> r) {
  if constexpr (sizeof(T) == 4)
    return horner(r, 5e-01f, 1.6666515e-01f, 4.166658e-02f, 8.369275e-03f, 1.3923575e-03f);
  else
    return horner(r, 0.5, 0.16666666666666685, 0.04166666666666673, 0.008333333333316656,
                  0.001388888888885834, 0.00019841269897285756, 2.4801587373930417e-05,
                  2.755723399451519e-06, 2.755723320175044e-07, 2.511232862818182e-08,
                  2.0926991287587316e-09);
}

template <class T>
struct Exp2Split {
  Vec<T> n;      // an integer
  Vec<T> expm1;  // e^r - 1 for r = x - n ln 2, |r| <= ln(2) / 2
};

// e^x = 2^n (1 + expm1).
template <class T>
FASTNN_INLINE Exp2Split<T> split_exp(Vec<T> x) {
  const Vec<T> n = round_by_ln2(x);
  const Vec<T> r = fma(n, Vec<T>(-ln2_low<T>), fma(n, Vec<T>(-ln2_high<T>), x));
  return {n, fma(r * r, exp_tail(r), r)};
}

// 2^n for an integer n that is the exponent of a normal number.
template <class T>
FASTNN_INLINE Vec<T> pow2(Vec<T> n) {
  using UInt = typename Vec<T>::UInt;
  const auto bias = (typename Lanes<T>::UInt)Lanes<T>::exponent_bias;
  return Vec<T>::from_bits(
      (typename Vec<T>::Int)(((UInt)to_int(n) + bias) << Lanes<T>::mantissa_bits));
}

template <class T>
FASTNN_INLINE Vec<T> exp(Vec<T> x) {
  x = max_or_second(MathLimits<T>::exp_zero, min_or_second(MathLimits<T>::exp_infinite, x));
  const auto [n, em1] = split_exp(x);
  return scale2(em1 + Vec<T>(1), n);
}

// e^x - 1 = 2^n expm1(r) + (2^n - 1), at half size because 2^128 is not a float.
template <class T>
FASTNN_INLINE Vec<T> expm1(Vec<T> x) {
  using L = MathLimits<T>;
  const Vec<T> bounded = max_or_second(L::expm1_minus1, min_or_second(L::exp_infinite, x));
  const auto [n, em1] = split_exp(bounded);
  const Vec<T> half = pow2(n - Vec<T>(1));
  const Vec<T> y = fma(half, em1, half - Vec<T>((T)0.5));
  return select(abs(x) < Vec<T>(L::tiny), x, y + y);
}

// tanh |x| = -t / (2 + t), t = expm1(-2|x|): no overflow, no cancellation, odd by construction.
template <class T>
FASTNN_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> a = abs(x);
  const auto [n, em1] = split_exp(max_or_second(MathLimits<T>::expm1_minus1, (T)-2 * a));
  const Vec<T> scale = pow2(n);
  const Vec<T> t = fma(scale, em1, scale - Vec<T>(1));
  return copysign(t / (t + Vec<T>(2)), x);
}

// 1 / (1 + e^-x), through e^-|x| so that the left tail keeps its relative accuracy.
template <class T>
FASTNN_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp(-abs(x));
  return select(x < Vec<T>(0), e, Vec<T>(1)) / (Vec<T>(1) + e);
}

// ---- logarithms -------------------------------------------------------------------------------

// k0 ln 2 + log(x + c) for a normal x > 0 and, if corrected, a c below one unit in x's last place.
// x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = 2 atanh(s), s = f / (2 + f).
template <bool corrected, class T>
FASTNN_INLINE Vec<T> log_normal(Vec<T> x, Vec<T> c, Vec<T> k0) {
  using V = Vec<T>;
  using Int = typename V::Int;
  using UInt = typename V::UInt;
  using U = typename Lanes<T>::UInt;
  constexpr int m = Lanes<T>::mantissa_bits;
  constexpr U bias = Lanes<T>::exponent_bias, one = bias << m;
  constexpr typename V::Lane largest = (typename V::Lane)(bias + 60);

  const UInt biased = ((UInt)x.bits() + (U)(one - (U)MathLimits<T>::sqrt_half_bits)) >> m;
  const UInt exponent = (biased - bias) << m;
  V f = V::from_bits((Int)((UInt)x.bits() - exponent)) - V(1);
  if constexpr (corrected) {
    // c counts only while x is not much above 1, so its exponent need not follow k all the way.
    const Int bounded = (Int)biased < largest ? (Int)biased : Int{} + largest;
    f = fma(c, V::from_bits((Int)(one - (((UInt)bounded - bias) << m))), f);
  }
  const V k = to_float((Int)biased) - V((T)Lanes<T>::exponent_bias) + k0;

  const V s = f / (f + V(2));
  const V z = s * s;
  V p;  // (2 atanh(s) / s - 2) / s^2, error in 2 atanh(s) / s: 2^-29.2, 2^-60
  if constexpr (sizeof(T) == 4) {
    p = horner(z, 6.6666776e-01f, 3.9977562e-01f, 2.9871893e-01f);
  } else {
    p = horner(z, 0.6666666666666666, 0.40000000000006297, 0.28571428569066654, 0.22222222649930826,
               0.18181775401133238, 0.15387102769530248, 0.13249839154824297, 0.13253926921455222);
  }
  const V half_square = V((T)0.5) * f * f;
  const V tail = fma(s, fma(z, p, half_square), k * V(ln2_low<T>));
  return fma(k, V(ln2_high<T>), f - (half_square - tail));
}

template <class T>
FASTNN_INLINE Mask<T> positive_normal(Vec<T> x) {
  constexpr auto least = (typename Lanes<T>::UInt)1 << Lanes<T>::mantissa_bits;
  constexpr auto below = (typename Lanes<T>::UInt)Lanes<T>::exponent_bias * 2 * least;
  return {(typename Vec<T>::Int)((typename Vec<T>::UInt)x.bits() - least < below)};
}

// For any x; in memory, because it is rare and long.
template <class T>
FASTNN_OUTLINE void log_anywhere(const T* from, T* to) {
  using L = MathLimits<T>;
  using V = Vec<T>;
  const V x = V::load(from);
  const Mask<T> subnormal = x < V(L::min_normal);
  const V y = log_normal<false>(select(subnormal, x * V(L::subnormal_scale), x), V(0),
                                select(subnormal, V(-L::subnormal_exponent), V(0)));
  const V at_zero_or_below = select(x == V(0), V(-infinity<T>), V(quiet_nan<T>));
  select(x > V(0), select(x < V(infinity<T>), y, x), at_zero_or_below).store(to);
}

template <class T>
FASTNN_INLINE Vec<T> log(Vec<T> x) {
  using V = Vec<T>;
  if (__builtin_expect(all(positive_normal(x)), 1)) return log_normal<false>(x, V(0), V((T)-0.0));
  T lanes[V::size];
  x.store(lanes);
  log_anywhere(lanes, lanes);
  return V::load(lanes);
}

// log(1 + x): what 1 + x rounds away comes back as a correction.
template <class T>
FASTNN_INLINE Vec<T> log1p(Vec<T> x) {
  using V = Vec<T>;
  const V u = x + V(1);
  V y = log_normal<true>(u, x - (u - V(1)), V((T)-0.0));
  if (__builtin_expect(!all(positive_normal(u)), 0)) {
    const V at_minus_one_or_below = select(x == V(-1), V(-infinity<T>), V(quiet_nan<T>));
    y = select(x > V(-1), select(x < V(infinity<T>), y, x), at_minus_one_or_below);
  }
  return select(abs(x) < V(MathLimits<T>::tiny), x, y);
}

// ---- error function ---------------------------------------------------------------------------

template <class T>
struct ErfExp {
  Vec<T> erf;
  Vec<T> exp;  // e^(-x^2), which erf needs anyway and the derivative of GELU too
};

// erf by sixteen polynomials of degree 5, one for each stretch of 0.26: as lookup16 is one
// instruction on AVX-512, half the work of what follows below. In the first four stretches they are
// erf(x) / x, to keep small results exact to their own size. Error: 2^-28; from 3.9 on it is 1.
constexpr float erf_stretch = 0.26f;
constexpr float erf_table[6][16] = {
    {1.12837923f, 1.10346043f, 1.03442049f, 0.935910821f, 0.858649909f, 0.934007943f, 0.972628117f,
     0.989943147f, 0.996734381f, 0.999064565f, 0.999763966f, 0.999947608f, 0.999989748f,
     0.999998271f, 0.999999762f, 1.0f},
    {-3.50197951e-08f, -0.187840968f, -0.333429605f, -0.412593901f, 0.382579952f, 0.20820801f,
     0.0989819616f, 0.0411053225f, 0.0149115743f, 0.00472533237f, 0.00130805129f, 0.000316301215f,
     6.68129724e-05f, 1.23283462e-05f, 1.98716202e-06f, 2.7981875e-07f},
    {-0.37612325f, -0.332153618f, -0.219826445f, -0.085123539f, -0.397884488f, -0.27067402f,
     -0.154414654f, -0.0748126954f, -0.0310158972f, -0.0110567706f, -0.00340054603f,
     -0.000904424174f, -0.000208379846f, -4.16459443e-05f, -7.22715731e-06f, -1.09063603e-06f},
    {-0.000102710444f, 0.108244322f, 0.169285208f, 0.166021764f, 0.148335025f, 0.165178731f,
     0.127596602f, 0.0770716816f, 0.0380392484f, 0.0156742632f, 0.0054587014f, 0.00161918765f,
     0.000411223242f, 8.97511345e-05f, 1.68799506e-05f, 2.73286264e-06f},
    {0.114360154f, 0.0867598578f, 0.0273926668f, -0.0299488977f, 0.0557091571f, -0.0165781509f,
     -0.0476160534f, -0.0450393558f, -0.0292498488f, -0.0147325275f, -0.00602336274f,
     -0.00204480416f, -0.000584023772f, -0.000141526165f, -2.92671302e-05f, -5.1133743e-06f},
    {-0.0104181273f, -0.0367323831f, -0.0496227778f, -0.034905903f, -0.06715931f, -0.0406317897f,
     -0.00849982537f, 0.00959246792f, 0.0128195202f, 0.00901088957f, 0.00458653038f, 0.00183693739f,
     0.000599924766f, 0.000162860131f, 3.7182097e-05f, 7.90043396e-06f},
};
FASTNN_INLINE Vec<float> erf_by_table(Vec<float> x) {
  using V = Vec<float>;
  const V shift(0x1.8p23f), bounded = min_or_second(MathLimits<float>::erf_one, abs(x));
  const V shifted = fma(bounded, V(1 / erf_stretch), shift), n = shifted - shift;
  const V r = fma(n, V(-erf_stretch), bounded);
  const auto index = shifted.bits();
  V y = lookup16(erf_table[5], index);
#pragma GCC unroll 5
  for (int i = 4; i >= 0; --i) y = fma(y, r, lookup16(erf_table[i], index));
  return copysign(select(n < V(4), bounded, V(1)) * y, x);
}
template <class T>
inline constexpr bool erf_has_table = sizeof(T) == 4 && FASTNN_VEC_BYTES == 64;

// Below 1: x + x P(x^2). Above: 1 - e^(-x^2) Q, where Q = e^(x^2) erfc(x) needs ever less accuracy
// as x grows.
template <class T>
FASTNN_INLINE ErfExp<T> erf_and_exp(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x), z = x * x;
  if constexpr (erf_has_table<T>) return {erf_by_table(x), exp(-z)};
  const V bounded = min_or_second(MathLimits<T>::erf_one, a);
  const V e = exp(-z);
  V p, q;  // error in erf: 2^-24.5 and 2^-25.6 for float, 2^-55 and 2^-61 for double
  if constexpr (sizeof(T) == 4) {
    p = horner(z, 1.2837917e-01f, -3.7612626e-01f, 1.12835854e-01f, -2.6853813e-02f, 5.1883277e-03f,
               -8.010196e-04f, 7.853869e-05f);
    q = horner(bounded, 9.8629093e-01f, -1.0489503e+00f, 7.9399854e-01f, -4.331285e-01f,
               1.6501151e-01f, -4.13102e-02f, 6.0653454e-03f, -3.9375058e-04f);
  } else {
    p = horner(z, 0.12837916709551257, -0.3761263890318375, 0.11283791670954857,
               -0.02686617064507289, 0.005223977624780831, -0.0008548326978740337,
               0.00012055331036837806, -1.4925593505542898e-05, 1.6460972797426376e-06,
               -1.6350025034382656e-07, 1.4657878695925026e-08, -1.1365661955774253e-09,
               5.94525562979826e-11);
    q = horner((bounded - V(2)) / (bounded + V(2)), 0.25539567631050575, -0.4271858474139584,
               0.24165819424246637, -0.07897858101573325, 0.0037328924043417444,
               0.006997461739303814, -0.0008471432515766187, -0.0009819770294248566,
               4.355561663154924e-05, 0.00017436114133544708, 2.7525166993898258e-05,
               -2.757767365850271e-05, -1.3959875541755246e-05, 1.3638549726877208e-06,
               3.6762443502107166e-06, 1.2481173290695224e-06);
  }
  const V outer = copysign(V(1) - e * q, x);
  return {select(a < V(1), fma(x, p, x), outer), e};
}

template <class T>
FASTNN_INLINE Vec<T> erf(Vec<T> x) {
  if constexpr (erf_has_table<T>)
    return erf_by_table(x);
  else
    return erf_and_exp(x).erf;
}

}  // namespace fastnn::FASTNN_ISA
