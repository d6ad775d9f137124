// Vec beyond one lane of one type: integers, conversions between float and double, table lookups,
// and what goes across the lanes of a register.
#pragma once

#include "cpu/simd.h"

namespace fastnn::FASTNN_ISA {

// ---- integers and other widths ----------------------------------------------------------------

// Float: truncated towards 0, |x| < 2^31. Double: x must be an integer, |x| < 2^51 (there is no
// instruction before AVX-512, so the number is read out of a mantissa).
FASTNN_INLINE Vec<float>::Int to_int(Vec<float> x) {
  return __builtin_convertvector(x.v, Vec<float>::Int);
}
FASTNN_INLINE Vec<double>::Int to_int(Vec<double> x) {
  const Vec<double> shift(0x1.8p52);
  return (x + shift).bits() - shift.bits();
}
template <class T>
FASTNN_INLINE Vec<T> to_float(typename Vec<T>::Int i) {
  if constexpr (sizeof(T) == 4) return Vec<T>::of(__builtin_convertvector(i, typename Vec<T>::Raw));
  const Vec<T> shift((T)0x1.8p52);
  return Vec<T>::from_bits(i + shift.bits()) - shift;
}
FASTNN_INLINE Vec<float> to_float(Vec<float>::Int i) { return to_float<float>(i); }
FASTNN_INLINE Vec<double> to_float(Vec<double>::Int i) { return to_float<double>(i); }

// x 2^n, for an integer n of magnitude up to 250 (float) or 2040 (double): overflow gives infinity,
// underflow a subnormal number or 0. In two halves, because 2^n alone need not be a number. Rounded
// once wherever x 2^(n/2) is normal.
template <class T>
FASTNN_INLINE Vec<T> scale2(Vec<T> x, Vec<T> n) {
  using V = Vec<T>;
#if defined(FASTNN_MM512)
  if constexpr (sizeof(T) == 4)
    return V::of((typename V::Raw)_mm512_scalef_ps(x.v, n.v));
  else
    return V::of((typename V::Raw)_mm512_scalef_pd(x.v, n.v));
#else
  using Int = typename V::Int;
  using UInt = typename V::UInt;
  constexpr int m = Lanes<T>::mantissa_bits;
  constexpr auto bias = (typename Lanes<T>::UInt)Lanes<T>::exponent_bias;
  // Two biased exponents that add up to n; unsigned, as AVX2 cannot shift signed 64-bit lanes.
  const UInt sum = (UInt)to_int(n) + 2 * bias, half = sum >> 1;
  return x * V::from_bits((Int)(half << m)) * V::from_bits((Int)((sum - half) << m));
#endif
}

// table[index % 16], lane by lane.
template <class T>
FASTNN_INLINE Vec<T> lookup16(const T (&table)[16], typename Vec<T>::Int index) {
  using V = Vec<T>;
#if defined(FASTNN_MM512)
  const V low = V::load(table);
  if constexpr (sizeof(T) == 4)
    return V::of((typename V::Raw)_mm512_permutexvar_ps((__m512i)index, low.v));
  else
    return V::of(
        (typename V::Raw)_mm512_permutex2var_pd(low.v, (__m512i)index, V::load(table + 8).v));
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  if constexpr (sizeof(T) == 4) {
    const __m256 low = _mm256_permutevar8x32_ps(V::load(table).v, (__m256i)index);
    const __m256 high = _mm256_permutevar8x32_ps(V::load(table + 8).v, (__m256i)index);
    return V::of((typename V::Raw)_mm256_blendv_ps(low, high, (__m256)(index << 28)));
  }
#endif
  V r{};
  for (int i = 0; i < V::size; ++i) r.v[i] = table[index[i] & 15];
  return r;
}

// The lower and upper half of the lanes of the compiler's vector.
template <class Raw>
FASTNN_INLINE auto lower_half(Raw v) {
  constexpr int n = sizeof(Raw) / sizeof(v[0]);
  if constexpr (n == 16)
    return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  else if constexpr (n == 8)
    return __builtin_shufflevector(v, v, 0, 1, 2, 3);
  else if constexpr (n == 4)
    return __builtin_shufflevector(v, v, 0, 1);
  else
    return v[0];
}
template <class Raw>
FASTNN_INLINE auto upper_half(Raw v) {
  constexpr int n = sizeof(Raw) / sizeof(v[0]);
  if constexpr (n == 16)
    return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  else if constexpr (n == 8)
    return __builtin_shufflevector(v, v, 4, 5, 6, 7);
  else if constexpr (n == 4)
    return __builtin_shufflevector(v, v, 2, 3);
  else
    return v[1];
}

// A float vector as two double vectors: lanes [0, size/2) and [size/2, size), for sums that are
// accumulated in double; and back.
FASTNN_INLINE Vec<double> low_f64(Vec<float> x) {
#if defined(FASTNN_MM512)
  return Vec<double>::of((Vec<double>::Raw)_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)));
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  return Vec<double>::of((Vec<double>::Raw)_mm256_cvtps_pd(_mm256_castps256_ps128(x.v)));
#else
  return Vec<double>::of(__builtin_convertvector(lower_half(x.v), Vec<double>::Raw));
#endif
}
FASTNN_INLINE Vec<double> high_f64(Vec<float> x) {
#if defined(FASTNN_MM512)
  return Vec<double>::of((Vec<double>::Raw)_mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1)));
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  return Vec<double>::of((Vec<double>::Raw)_mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1)));
#else
  return Vec<double>::of(__builtin_convertvector(upper_half(x.v), Vec<double>::Raw));
#endif
}
FASTNN_INLINE Vec<float> from_f64(Vec<double> low, Vec<double> high) {
  using Raw = Vec<float>::Raw;
#if defined(FASTNN_MM512)
  const __m512 lower = _mm512_castps256_ps512(_mm512_cvtpd_ps(low.v));
  return Vec<float>::of((Raw)_mm512_insertf32x8(lower, _mm512_cvtpd_ps(high.v), 1));
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  return Vec<float>::of((Raw)_mm256_set_m128(_mm256_cvtpd_ps(high.v), _mm256_cvtpd_ps(low.v)));
#else
  Raw r;
  for (int i = 0; i < Vec<double>::size; ++i) {
    r[i] = (float)low.v[i];
    r[i + Vec<double>::size] = (float)high.v[i];
  }
  return Vec<float>::of(r);
#endif
}

// Count<n>::type is Indices<0, 1, ..., n - 1>: the lanes of a shuffle, to be computed with.
template <int... i>
struct Indices {};
template <int n, int... i>
struct Count : Count<n - 1, n - 1, i...> {};
template <int... i>
struct Count<0, i...> {
  using type = Indices<i...>;
};

// ---- across the lanes -------------------------------------------------------------------------
// The upper half is folded onto the lower until one lane is left: for four lanes
// (x0 + x2) + (x1 + x3). The order is fixed for a given width.

template <int lanes, class Raw, int... i>
FASTNN_INLINE Raw moved_down(Raw v, Indices<i...>) {
  return __builtin_shufflevector(v, v, (i + lanes)...);
}
// Lane k + lanes in lane k; the last ones are of no use.
template <int lanes, class V>
FASTNN_INLINE V moved_down(V v) {
  return V::of(moved_down<lanes>(v.v, typename Count<V::size>::type{}));
}

template <class Raw>
FASTNN_INLINE auto fold_add(Raw v) {
  const auto r = lower_half(v) + upper_half(v);
  if constexpr (sizeof(r) == sizeof(v[0]))
    return r;
  else
    return fold_add(r);
}
template <class T>
FASTNN_INLINE T reduce_add(Vec<T> x) {
  return fold_add(x.v);
}

template <class Raw>
FASTNN_INLINE auto fold_max(Raw v) {
  const auto a = lower_half(v), b = upper_half(v);
  const auto r = a > b ? a : b;
  if constexpr (sizeof(r) == sizeof(v[0]))
    return r;
  else
    return fold_max(r);
}
template <class Raw>
FASTNN_INLINE auto fold_min(Raw v) {
  const auto a = lower_half(v), b = upper_half(v);
  const auto r = a < b ? a : b;
  if constexpr (sizeof(r) == sizeof(v[0]))
    return r;
  else
    return fold_min(r);
}
// NaN if any lane is NaN.
template <class T>
FASTNN_INLINE T reduce_max(Vec<T> x) {
  return any(is_nan(x)) ? (T)__builtin_nan("") : fold_max(x.v);
}
template <class T>
FASTNN_INLINE T reduce_min(Vec<T> x) {
  return any(is_nan(x)) ? (T)__builtin_nan("") : fold_min(x.v);
}

}  // namespace fastnn::FASTNN_ISA
