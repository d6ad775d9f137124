// From the type of a tensor to a C++ type: with_number(x.dtype(), [&](auto t) { using T =
// decltype(t); ... }). The whole loop belongs inside, since it is compiled once for each type.
#pragma once
#include "cpu/simd.h"
#include "dtype.h"
#include "geometry.h"  // smaller, larger, ceil_div

namespace fastnn::FASTNN_ISA {

template <class A, class B>
constexpr bool is_same = false;
template <class A>
constexpr bool is_same<A, A> = true;

template <class T>
constexpr bool is_float = is_same<T, float> || is_same<T, double>;

template <class T>
struct UnsignedOf {
  using type = T;
};
template <>
struct UnsignedOf<int32_t> {
  using type = uint32_t;
};

// A register of integers, with as much of Vec's face as integers need. Arithmetic wraps, which C++
// promises of unsigned numbers alone.
template <class T>
struct IntVec {
  static constexpr int size = FASTNN_VEC_BYTES / sizeof(T);
  using Scalar = T;
  using Raw = typename Native<T, size>::type;
  using Wrapping = typename Native<typename UnsignedOf<T>::type, size>::type;
  Raw v;

  IntVec() = default;
  FASTNN_INLINE IntVec(T x) : v(x - Raw{}) {}
  static FASTNN_INLINE IntVec of(Raw raw) {
    IntVec r;
    r.v = raw;
    return r;
  }
  static FASTNN_INLINE IntVec load(const T* p) {
    return of(*reinterpret_cast<const typename Native<T, size>::unaligned*>(p));
  }
  FASTNN_INLINE void store(T* p) const {
    *reinterpret_cast<typename Native<T, size>::unaligned*>(p) = v;
  }
  static FASTNN_INLINE IntVec load_n(const T* p, int64_t n) {
    if (n >= size) return load(p);
    T a[size] = {};
    for (int64_t i = 0; i < n; ++i) a[i] = p[i];
    return load(a);
  }
  FASTNN_INLINE void store_n(T* p, int64_t n) const {
    if (n >= size) return store(p);
    T a[size];
    store(a);
    for (int64_t i = 0; i < n; ++i) p[i] = a[i];
  }
  FASTNN_INLINE T operator[](int lane) const { return v[lane]; }

  friend FASTNN_INLINE IntVec operator+(IntVec a, IntVec b) {
    return of((Raw)((Wrapping)a.v + (Wrapping)b.v));
  }
  friend FASTNN_INLINE IntVec operator-(IntVec a, IntVec b) {
    return of((Raw)((Wrapping)a.v - (Wrapping)b.v));
  }
  friend FASTNN_INLINE IntVec operator*(IntVec a, IntVec b) {
    return of((Raw)((Wrapping)a.v * (Wrapping)b.v));
  }
  friend FASTNN_INLINE IntVec operator|(IntVec a, IntVec b) { return of(a.v | b.v); }
  friend FASTNN_INLINE IntVec operator&(IntVec a, IntVec b) { return of(a.v & b.v); }
  friend FASTNN_INLINE IntVec max(IntVec a, IntVec b) { return of(a.v > b.v ? a.v : b.v); }
  friend FASTNN_INLINE IntVec min(IntVec a, IntVec b) { return of(a.v < b.v ? a.v : b.v); }
  FASTNN_INLINE IntVec operator-() const { return IntVec(0) - *this; }
};

template <class T, bool = is_float<T>>
struct PackOf {
  using type = Vec<T>;
};
template <class T>
struct PackOf<T, false> {
  using type = IntVec<T>;
};
// One register of any type of number.
template <class T>
using Pack = typename PackOf<T>::type;

template <class F>
FASTNN_INLINE void with_float(DType type, F f) {
  if (type == DType::float32)
    f(float{});
  else
    f(double{});
}

template <class F>
FASTNN_INLINE void with_number(DType type, F f) {
  if (type == DType::float32)
    f(float{});
  else if (type == DType::float64)
    f(double{});
  else
    f(int32_t{});
}

// bool stands for the one byte of a truth value; it must be read as `byte != 0`.
template <class F>
FASTNN_INLINE void with_any(DType type, F f) {
  switch (type) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::int32:
      return f(int32_t{});
    case DType::uint8:
      return f(uint8_t{});
    case DType::boolean:
      return f(bool{});
  }
}

// For what only moves elements: their size is all that counts.
template <class F>
FASTNN_INLINE void with_bytes(DType type, F f) {
  switch (item_bytes(type)) {
    case 1:
      return f(uint8_t{});
    case 4:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
}

}  // namespace fastnn::FASTNN_ISA
