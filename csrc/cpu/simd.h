// Vec<float>, Vec<double>: one CPU register of numbers, and Mask<T>, its lane-wise truth values.
//
// A kernel is written once over Vec and compiled once per instruction set with
//   -DFASTNN_ISA=avx2 -DFASTNN_VEC_BYTES=32      (baseline: 16, avx512: 64, neon: 16)
// Arithmetic, comparison and blending come from the GCC/Clang vector extensions, which know every
// target; intrinsics appear only where the language has no operator (fma, sqrt, max, masked moves).
//
// Nothing here may be shared between two builds: an inline function compiled for AVX-512 that the
// linker merges into the baseline build is an illegal instruction on an older machine. Hence the
// namespace per build, force-inlining, plain C headers, and no std:: at all.
//
// Conversions, and what lanes of one register have to do with each other, are in simd_lanes.h.
#pragma once

#include <stdint.h>
#if defined(__SSE2__)
// GCC 12 takes the deliberately undefined operands inside its own AVX-512 header for mistakes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if !defined(FASTNN_ISA) || !defined(FASTNN_VEC_BYTES)
#error "compile kernels with -DFASTNN_ISA=<namespace> -DFASTNN_VEC_BYTES=<16|32|64>"
#endif

#define FASTNN_INLINE inline __attribute__((always_inline))
// For a loop that several callers share: called, it is compiled once, and the call is nothing
// beside the loop.
#define FASTNN_OUTLINE __attribute__((noinline))

// FASTNN_MM(sqrt_ps) is _mm_sqrt_ps, _mm256_sqrt_ps or _mm512_sqrt_ps. It stays undefined where the
// build's width is not the machine's (64 bytes on an AVX2 machine, to test 16 lanes): then the
// generic code below serves.
#if defined(__SSE2__) && FASTNN_VEC_BYTES == 16
#define FASTNN_MM(name) _mm_##name
#elif defined(__AVX2__) && FASTNN_VEC_BYTES == 32
#define FASTNN_MM(name) _mm256_##name
#elif defined(__AVX512DQ__) && FASTNN_VEC_BYTES == 64
#define FASTNN_MM(name) _mm512_##name
#define FASTNN_MM512
#endif

// Where fma() rounds once. Without it (baseline x86-64) fma(a, b, c) is a * b + c, rounded twice.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FASTNN_HAS_FMA 1
#else
#define FASTNN_HAS_FMA 0
#endif

namespace fastnn::FASTNN_ISA {

// ---- lane types -----------------------------------------------------------------------------

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
  using Int = int32_t;  // the integer as wide as a lane
  using UInt = uint32_t;
  static constexpr int mantissa_bits = 23, exponent_bias = 127;
  static constexpr float integral_above = 0x1p23f;  // from here on every float is an integer
};

template <>
struct Lanes<double> {
  using Int = int64_t;
  using UInt = uint64_t;
  static constexpr int mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double integral_above = 0x1p52;
};

// The compiler's own vector of n numbers. Loads and stores go through the unaligned type, which may
// alias any array.
template <class T, int n>
struct Native {
  typedef T type __attribute__((vector_size(n * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(n * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class T>
struct Mask {
  // All bits of a lane set: true. None set: false. On AVX-512 the compiler turns these into k
  // registers by itself.
  typename Native<typename Lanes<T>::Int, FASTNN_VEC_BYTES / sizeof(T)>::type bits;

  friend FASTNN_INLINE Mask operator&(Mask a, Mask b) { return {a.bits & b.bits}; }
  friend FASTNN_INLINE Mask operator|(Mask a, Mask b) { return {a.bits | b.bits}; }
  FASTNN_INLINE Mask operator!() const { return {~bits}; }
};

// ---- Vec ------------------------------------------------------------------------------------

template <class T>
struct Vec {
  static constexpr int size = FASTNN_VEC_BYTES / sizeof(T);
  using Scalar = T;
  using Lane = typename Lanes<T>::Int;
  using Raw = typename Native<T, size>::type;
  using Int = typename Native<Lane, size>::type;
  using UInt = typename Native<typename Lanes<T>::UInt, size>::type;
  using MaskT = Mask<T>;

  Raw v;

  Vec() = default;
  // x - 0 is x for every x, -0 and NaN included; the compiler reduces it to the broadcast.
  FASTNN_INLINE Vec(T x) : v(x - Raw{}) {}
  static FASTNN_INLINE Vec of(Raw raw) {
    Vec r;
    r.v = raw;
    return r;
  }

  static FASTNN_INLINE Vec load(const T* p) {
    return of(*reinterpret_cast<const typename Native<T, size>::unaligned*>(p));
  }
  FASTNN_INLINE void store(T* p) const {
    *reinterpret_cast<typename Native<T, size>::unaligned*>(p) = v;
  }

  // The first n lanes; the others are 0. Memory at p[n] and beyond is never touched. Any n: below 1
  // nothing is read, from size on it is load().
  static FASTNN_INLINE Vec load_n(const T* p, int64_t n);
  FASTNN_INLINE void store_n(T* p, int64_t n) const;

  FASTNN_INLINE T operator[](int lane) const { return v[lane]; }

  friend FASTNN_INLINE Vec operator+(Vec a, Vec b) { return of(a.v + b.v); }
  friend FASTNN_INLINE Vec operator-(Vec a, Vec b) { return of(a.v - b.v); }
  friend FASTNN_INLINE Vec operator*(Vec a, Vec b) { return of(a.v * b.v); }
  friend FASTNN_INLINE Vec operator/(Vec a, Vec b) { return of(a.v / b.v); }
  FASTNN_INLINE Vec operator-() const { return of(-v); }
  FASTNN_INLINE Vec& operator+=(Vec b) { return v += b.v, *this; }
  FASTNN_INLINE Vec& operator-=(Vec b) { return v -= b.v, *this; }
  FASTNN_INLINE Vec& operator*=(Vec b) { return v *= b.v, *this; }
  FASTNN_INLINE Vec& operator/=(Vec b) { return v /= b.v, *this; }

  // Comparisons are false where either side is NaN, except != which is true.
  friend FASTNN_INLINE MaskT operator<(Vec a, Vec b) { return {(Int)(a.v < b.v)}; }
  friend FASTNN_INLINE MaskT operator<=(Vec a, Vec b) { return {(Int)(a.v <= b.v)}; }
  friend FASTNN_INLINE MaskT operator>(Vec a, Vec b) { return {(Int)(a.v > b.v)}; }
  friend FASTNN_INLINE MaskT operator>=(Vec a, Vec b) { return {(Int)(a.v >= b.v)}; }
  friend FASTNN_INLINE MaskT operator==(Vec a, Vec b) { return {(Int)(a.v == b.v)}; }
  friend FASTNN_INLINE MaskT operator!=(Vec a, Vec b) { return {(Int)(a.v != b.v)}; }

  // The bit pattern as integers. Int is a native vector with operators: + - & | ^ << >> < ...
  FASTNN_INLINE Int bits() const { return (Int)v; }
  static FASTNN_INLINE Vec from_bits(Int i) { return of((Raw)i); }
};

// ---- choosing -------------------------------------------------------------------------------

template <class T>
FASTNN_INLINE Vec<T> select(Mask<T> m, Vec<T> yes, Vec<T> no) {
  return Vec<T>::of(m.bits ? yes.v : no.v);
}
// A plain number for one of the two sides, as in select(x > 0, x, 0).
template <class T>
FASTNN_INLINE Vec<T> select(Mask<T> m, Vec<T> yes, T no) {
  return select(m, yes, Vec<T>(no));
}
template <class T>
FASTNN_INLINE Vec<T> select(Mask<T> m, T yes, Vec<T> no) {
  return select(m, Vec<T>(yes), no);
}

template <class T>
FASTNN_INLINE Mask<T> is_nan(Vec<T> x) {
  return x != x;
}

template <class T>
FASTNN_INLINE bool any(Mask<T> m) {
#if defined(FASTNN_MM512)
  return _mm512_test_epi32_mask((__m512i)m.bits, (__m512i)m.bits) != 0;
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  return _mm256_movemask_ps((__m256)m.bits) != 0;
#elif defined(FASTNN_MM)
  return _mm_movemask_ps((__m128)m.bits) != 0;
#else
  typename Lanes<T>::Int seen = 0;
  for (int i = 0; i < Vec<T>::size; ++i) seen |= m.bits[i];
  return seen != 0;
#endif
}
template <class T>
FASTNN_INLINE bool all(Mask<T> m) {
  return !any(!m);
}

// The number of the first lane that is set; some lane must be.
template <class T>
FASTNN_INLINE int first_lane(Mask<T> m) {
#if defined(FASTNN_MM512)
  const unsigned set = _mm512_test_epi32_mask((__m512i)m.bits, (__m512i)m.bits);
  return __builtin_ctz(set) / (int)(sizeof(T) / 4);
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  return __builtin_ctz(_mm256_movemask_ps((__m256)m.bits)) / (int)(sizeof(T) / 4);
#elif defined(FASTNN_MM)
  return __builtin_ctz(_mm_movemask_ps((__m128)m.bits)) / (int)(sizeof(T) / 4);
#else
  int lane = 0;
  while (!m.bits[lane]) ++lane;
  return lane;
#endif
}

// The lanes below n.
template <class T>
FASTNN_INLINE Mask<T> first_n(int64_t n) {
  using V = Vec<T>;
  typename V::Int lane;
  for (int i = 0; i < V::size; ++i) lane[i] = i;
  const typename V::Lane bound = n < 0 ? 0 : n > V::size ? V::size : n;
  return {(typename V::Int)(lane < bound)};
}

template <class T>
FASTNN_INLINE Vec<T> Vec<T>::load_n(const T* p, int64_t n) {
  if (n >= size) return load(p);
#if defined(FASTNN_MM512)
  const unsigned lanes = n <= 0 ? 0u : (1u << n) - 1;
  if constexpr (sizeof(T) == 4)
    return of((Raw)_mm512_maskz_loadu_ps((__mmask16)lanes, p));
  else
    return of((Raw)_mm512_maskz_loadu_pd((__mmask8)lanes, p));
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  const __m256i lanes = (__m256i)first_n<T>(n).bits;
  if constexpr (sizeof(T) == 4)
    return of((Raw)_mm256_maskload_ps(p, lanes));
  else
    return of((Raw)_mm256_maskload_pd(p, lanes));
#else
  T a[size] = {};
  for (int64_t i = 0; i < n; ++i) a[i] = p[i];
  return load(a);
#endif
}

template <class T>
FASTNN_INLINE void Vec<T>::store_n(T* p, int64_t n) const {
  if (n >= size) return store(p);
#if defined(FASTNN_MM512)
  const unsigned lanes = n <= 0 ? 0u : (1u << n) - 1;
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, (__mmask16)lanes, (__m512)v);
  else
    _mm512_mask_storeu_pd(p, (__mmask8)lanes, (__m512d)v);
#elif defined(FASTNN_MM) && FASTNN_VEC_BYTES == 32
  const __m256i lanes = (__m256i)first_n<T>(n).bits;
  if constexpr (sizeof(T) == 4)
    _mm256_maskstore_ps(p, lanes, (__m256)v);
  else
    _mm256_maskstore_pd(p, lanes, (__m256d)v);
#else
  T a[size];
  store(a);
  for (int64_t i = 0; i < n; ++i) p[i] = a[i];
#endif
}

// ---- arithmetic without an operator -----------------------------------------------------------

// a * b + c, rounded once where FASTNN_HAS_FMA.
template <class T>
FASTNN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  using Raw = typename Vec<T>::Raw;
#if FASTNN_HAS_FMA && defined(FASTNN_MM)
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)FASTNN_MM(fmadd_ps)(a.v, b.v, c.v));
  else
    return Vec<T>::of((Raw)FASTNN_MM(fmadd_pd)(a.v, b.v, c.v));
#elif defined(__ARM_FEATURE_FMA) && FASTNN_VEC_BYTES == 16
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)vfmaq_f32(c.v, a.v, b.v));
  else
    return Vec<T>::of((Raw)vfmaq_f64(c.v, a.v, b.v));
#elif FASTNN_HAS_FMA
  Raw r;
  for (int i = 0; i < Vec<T>::size; ++i) {
    if constexpr (sizeof(T) == 4)
      r[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
    else
      r[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
  }
  return Vec<T>::of(r);
#else
  return Vec<T>::of((Raw)(a.v * b.v + c.v));
#endif
}
// The same with plain numbers in place of vectors: fma(x, x, 1.0f).
template <class T>
FASTNN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, T c) {
  return fma(a, b, Vec<T>(c));
}
template <class T>
FASTNN_INLINE Vec<T> fma(Vec<T> a, T b, Vec<T> c) {
  return fma(a, Vec<T>(b), c);
}
template <class T>
FASTNN_INLINE Vec<T> fma(Vec<T> a, T b, T c) {
  return fma(a, Vec<T>(b), Vec<T>(c));
}

// max_or_second(a, b) = a > b ? a : b, one instruction. Where either is NaN, or both are zeros, it
// is b: put the operand whose NaN must survive second, as in relu(x) = max_or_second(0, x).
template <class T>
FASTNN_INLINE Vec<T> max_or_second(Vec<T> a, Vec<T> b) {
#if defined(FASTNN_MM)
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)FASTNN_MM(max_ps)(a.v, b.v));
  else
    return Vec<T>::of((Raw)FASTNN_MM(max_pd)(a.v, b.v));
#else
  return select(a > b, a, b);
#endif
}
template <class T>
FASTNN_INLINE Vec<T> min_or_second(Vec<T> a, Vec<T> b) {
#if defined(FASTNN_MM)
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)FASTNN_MM(min_ps)(a.v, b.v));
  else
    return Vec<T>::of((Raw)FASTNN_MM(min_pd)(a.v, b.v));
#else
  return select(a < b, a, b);
#endif
}
template <class T>
FASTNN_INLINE Vec<T> max_or_second(T a, Vec<T> b) {
  return max_or_second(Vec<T>(a), b);
}
template <class T>
FASTNN_INLINE Vec<T> min_or_second(T a, Vec<T> b) {
  return min_or_second(Vec<T>(a), b);
}

// NaN where either operand is NaN (a's, if both are), as NumPy's maximum and minimum.
template <class T>
FASTNN_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, max_or_second(a, b));
}
template <class T>
FASTNN_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, min_or_second(a, b));
}

template <class T>
FASTNN_INLINE Vec<T> sqrt(Vec<T> x) {
#if defined(FASTNN_MM)
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)FASTNN_MM(sqrt_ps)(x.v));
  else
    return Vec<T>::of((Raw)FASTNN_MM(sqrt_pd)(x.v));
#else
  Vec<T> r;
  for (int i = 0; i < Vec<T>::size; ++i) {
    if constexpr (sizeof(T) == 4)
      r.v[i] = __builtin_sqrtf(x.v[i]);
    else
      r.v[i] = __builtin_sqrt(x.v[i]);
  }
  return r;
#endif
}

template <class T>
FASTNN_INLINE typename Vec<T>::Int sign_bits(Vec<T> x) {
  return x.bits() & (typename Vec<T>::Lane)(typename Lanes<T>::UInt(1) << (8 * sizeof(T) - 1));
}
template <class T>
FASTNN_INLINE Vec<T> abs(Vec<T> x) {
  return Vec<T>::from_bits(x.bits() ^ sign_bits(x));
}
template <class T>
FASTNN_INLINE Vec<T> copysign(Vec<T> size, Vec<T> sign) {
  return Vec<T>::from_bits(abs(size).bits() | sign_bits(sign));
}

// To the nearest integer, ties to the even one; -0.2 gives -0.
template <class T>
FASTNN_INLINE Vec<T> round_nearest(Vec<T> x) {
  using Raw = typename Vec<T>::Raw;
  constexpr int nearest = 8;  // _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC
#if defined(FASTNN_MM512)
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)_mm512_roundscale_ps(x.v, nearest));
  else
    return Vec<T>::of((Raw)_mm512_roundscale_pd(x.v, nearest));
#elif defined(FASTNN_MM) && defined(__SSE4_1__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>::of((Raw)FASTNN_MM(round_ps)(x.v, nearest));
  else
    return Vec<T>::of((Raw)FASTNN_MM(round_pd)(x.v, nearest));
#else
  (void)nearest;
  // Adding 2^23 pushes the fraction out of a float, and the addition rounds it on the way.
  const Vec<T> big = copysign(Vec<T>(Lanes<T>::integral_above), x);
  const Vec<T> r = copysign(Vec<T>::of((Raw)((x.v + big.v) - big.v)), x);
  return select(abs(x) < Vec<T>(Lanes<T>::integral_above), r, x);
#endif
}

template <class T>
FASTNN_INLINE Vec<T> floor(Vec<T> x) {
  const Vec<T> r = round_nearest(x);
  return r - select(r > x, Vec<T>(1), Vec<T>(0));
}

}  // namespace fastnn::FASTNN_ISA
