// sin and cos on Vec<float> and Vec<double>, as vecmath.h; 2 ULP.
#pragma once

#include "cpu/vecmath.h"

namespace fastnn::FASTNN_ISA {

// Lane by lane, for the rare.
FASTNN_INLINE double sin(double x) { return __builtin_sin(x); }
FASTNN_INLINE double cos(double x) { return __builtin_cos(x); }

// Beyond this the three-part pi/2 runs out of digits, and the C library takes over lane by lane.
template <class T>
constexpr T trig_limit = sizeof(T) == 4 ? (T)0x1p17 : (T)0x1p26;

template <class T>
struct QuarterTurns {
  typename Vec<T>::Int quadrant;  // its last two bits count
  Vec<T> r;                       // x = quadrant pi/2 + r, |r| <= pi/4
};

FASTNN_INLINE QuarterTurns<double> split_quarter_turns(Vec<double> x) {
  using V = Vec<double>;
  const V shift(0x1.8p52), shifted = fma(x, V(0x1.45f306dc9c883p-1), shift);
  const V n = shifted - shift;
  // The first two parts have 26 bits, so that their products with n are exact.
  V r = fma(n, V(-0x1.921fb5p+0), x);
  r = fma(n, V(-0x1.110b46p-26), r);
  r = fma(n, V(-0x1.1a62633145c07p-54), r);
  return {shifted.bits(), r};
}
FASTNN_INLINE QuarterTurns<float> split_quarter_turns(Vec<float> x) {
#if FASTNN_HAS_FMA
  using V = Vec<float>;
  // x and n times the first part are multiples of 2^-24 and close to one another, so their
  // difference is exact, and what is rounded later is rounded at the size of r.
  const V shift(0x1.8p23f), shifted = fma(x, V(0x1.45f306p-1f), shift);
  const V n = shifted - shift;
  V r = fma(n, V(-0x1.921fb6p+0f), x);
  r = fma(n, V(0x1.777a5cp-25f), r);
  r = fma(n, V(0x1.ee59dap-50f), r);
  return {shifted.bits(), r};
#else  // short of exact products, in double
  const auto low = split_quarter_turns(low_f64(x)), high = split_quarter_turns(high_f64(x));
  const auto quadrant = [](typename Vec<double>::Int i) { return to_float(i & (i - i + 3)); };
  return {to_int(from_f64(quadrant(low.quadrant), quadrant(high.quadrant))),
          from_f64(low.r, high.r)};
#endif
}

// Those lanes of y = sin(x) or cos(x) whose x is large, infinite or NaN.
template <class T>
FASTNN_OUTLINE void sin_far(const T* x, T* y, bool cosine) {
  for (int i = 0; i < Vec<T>::size; ++i)
    if (!(__builtin_fabs((double)x[i]) < (double)trig_limit<T>))
      y[i] = (T)(cosine ? cos((double)x[i]) : sin((double)x[i]));
}

// sin(r) or cos(r), and the sign of the quadrant.
template <bool cosine_of_x, class T>
FASTNN_INLINE Vec<T> sin_or_cos(Vec<T> x) {
  using V = Vec<T>;
  using Int = typename V::Int;
  using UInt = typename V::UInt;
  const auto [turns, r] = split_quarter_turns(x);
  const V z = r * r;
  V s, c;  // (sin r / r - 1) / z and (cos r - 1 + z/2) / z^2; errors 2^-28, 2^-33; 2^-57, 2^-60
  if constexpr (sizeof(T) == 4) {
    s = horner(z, -1.6666655e-01f, 8.33219e-03f, -1.9518405e-04f);
    c = horner(z, 4.1666646e-02f, -1.3887301e-03f, 2.443069e-05f);
  } else {
    s = horner(z, -0.16666666666666632, 0.008333333333322316, -0.00019841269829726167,
               2.75573136623383e-06, -2.505075330246837e-08, 1.5896506882230492e-10);
    c = horner(z, 0.0416666666666666, -0.0013888888888874003, 2.48015872894013e-05,
               -2.755731432765713e-07, 2.0875719757544386e-09, -1.1359458067847027e-11);
  }
  const V sine = fma(r * z, s, r);
#if FASTNN_HAS_FMA
  const V cosine = fma(z, fma(z, c, V((T)-0.5)), V(1));
#else
  const V half_z = V((T)0.5) * z;
  const V w = V(1) - half_z;  // what this rounds away is added back
  const V cosine = w + fma(z * z, c, (V(1) - w) - half_z);
#endif
  const UInt quadrant = (UInt)turns + (cosine_of_x ? 1 : 0);
  const Mask<T> even{(Int)((quadrant & 1) == 0)};
  V y = select(even, sine, cosine);
  y = V::from_bits(y.bits() ^ (Int)((quadrant & 2) << (8 * sizeof(T) - 2)));
  if (__builtin_expect(any(!(abs(x) < V(trig_limit<T>))), 0)) {
    T given[V::size], result[V::size];
    x.store(given);
    y.store(result);
    sin_far(given, result, cosine_of_x);
    y = V::load(result);
  }
  return y;
}

template <class T>
FASTNN_INLINE Vec<T> sin(Vec<T> x) {
  return select(x == Vec<T>(0), x, sin_or_cos<false>(x));
}
template <class T>
FASTNN_INLINE Vec<T> cos(Vec<T> x) {
  return sin_or_cos<true>(x);
}

}  // namespace fastnn::FASTNN_ISA
