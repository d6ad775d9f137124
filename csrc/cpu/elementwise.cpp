// Arithmetic of two operands that broadcast, and of one with a number that is part of the program.
//
// Integers wrap, as NumPy's do, and x / 0 is 0: no value of a tensor may stop the process.
#include "cpu/broadcast.h"
#include "cpu/vecmath_power.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

struct Quick {
  static constexpr bool kSlow = false;
};
struct Slow {  // beside these functions the walk through the operands costs nothing
  static constexpr bool kSlow = true;
};

struct Add : Quick {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a + b;
  }
};
struct Subtract : Quick {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a - b;
  }
};
struct Multiply : Quick {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a * b;
  }
};
struct Divide : Quick {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a / b;
  }
};

struct Maximum : Quick {  // NaN wins
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return max(a, b);
  }
};
struct Minimum : Quick {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return min(a, b);
  }
};

// --- one lane at a time: what no instruction set has in its registers
// -----------------------------

template <class V, class F>
FASTNN_INLINE V by_lane(V a, V b, F f) {
  typename V::Scalar x[V::size], y[V::size];
  a.store(x);
  b.store(y);
#pragma GCC unroll 1
  for (int i = 0; i < V::size; ++i) x[i] = f(x[i], y[i]);
  return V::load(x);
}

FASTNN_INLINE float fmod(float a, float b) { return __builtin_fmodf(a, b); }
FASTNN_INLINE double fmod(double a, double b) { return __builtin_fmod(a, b); }

// The remainder with the sign of b, as in Python.
template <class T>
FASTNN_INLINE T remainder(T a, T b) {
  const T r = fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
FASTNN_INLINE int32_t remainder(int32_t a, int32_t b) {
  if (b == 0 || b == -1) return 0;
  const int32_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

template <class T>
FASTNN_INLINE T floored_quotient(T a, T b) {
  if (b == 0) return a / b;
  // a - remainder is a multiple of b but for rounding: the nearest integer is meant.
  const T q = (a - remainder(a, b)) / b;
  return __builtin_copysign(sizeof(T) == 4 ? T(__builtin_rintf(float(q))) : T(__builtin_rint(q)),
                            q);
}
FASTNN_INLINE int32_t floored_quotient(int32_t a, int32_t b) {
  if (b == 0) return 0;
  if (b == -1) return int32_t(-uint32_t(a));
  return a / b - (a % b != 0 && (a < 0) != (b < 0));  // a - remainder could overflow
}

// By squaring; a negative power of an integer is 0 unless the integer is 1 or -1.
FASTNN_INLINE int32_t integer_power(int32_t a, int32_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  uint32_t r = 1, base = uint32_t(a);
  for (; b; b >>= 1, base *= base)
    if (b & 1) r *= base;
  return int32_t(r);
}

// f on pairs of numbers, for whole vectors in memory: rare or slow, and the same for all callers.
template <class V, class F>
FASTNN_OUTLINE V by_lane_apart(V a, V b) {
  return by_lane(a, b, F{});
}

struct RemainderOf {
  template <class T>
  FASTNN_INLINE T operator()(T a, T b) const {
    return remainder(a, b);
  }
};
struct FlooredQuotientOf {
  template <class T>
  FASTNN_INLINE T operator()(T a, T b) const {
    return floored_quotient(a, b);
  }
};

// Whether the quotients are so small that q = trunc(a / b) is off by no more than 1, where a / b
// was rounded up to an integer, and a - q b is exact with fma.
template <class T>
FASTNN_INLINE bool quotients_are_exact(Vec<T> b, Vec<T> quotient) {
  using V = Vec<T>;
  return FASTNN_HAS_FMA &&
         all((abs(quotient) < V(Lanes<T>::integral_above / 2)) & (abs(b) < V(infinity<T>)));
}
template <class T>
FASTNN_INLINE Mask<T> is_opposite(Vec<T> r, Vec<T> x) {  // and not 0; products might underflow
  return Mask<T>{(typename Vec<T>::Int)((r.bits() ^ x.bits()) < 0)} & (r != Vec<T>(0));
}
template <class T>
FASTNN_INLINE Vec<T> remainder_of(Vec<T> a, Vec<T> b, Vec<T> quotient) {
  using V = Vec<T>;
  const V whole = copysign(floor(abs(quotient)), quotient);
  V r = fma(-whole, b, a);
  r = select(is_opposite(r, a), r + copysign(b, a), r);  // a / b was rounded up
  return select(is_opposite(r, b), r + b, r);
}

struct Mod : Slow {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    if constexpr (is_float<typename V::Scalar>) {
      const V quotient = a / b;
      if (quotients_are_exact(b, quotient)) return remainder_of(a, b, quotient);
    }
    return by_lane_apart<V, RemainderOf>(a, b);
  }
};
struct FloorDivide : Slow {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    if constexpr (is_float<typename V::Scalar>) {
      const V quotient = a / b;
      if (quotients_are_exact(b, quotient)) {
        // a - remainder is a multiple of b but for rounding: the nearest integer is meant.
        const V q = (a - remainder_of(a, b, quotient)) / b;
        return copysign(round_nearest(q), q);
      }
    }
    return by_lane_apart<V, FlooredQuotientOf>(a, b);
  }
};
struct Power : Slow {  // of integers; floats have pow_run()
  FASTNN_INLINE IntVec<int32_t> operator()(IntVec<int32_t> a, IntVec<int32_t> b) const {
    return by_lane(a, b, [](int32_t x, int32_t y) { return integer_power(x, y); });
  }
};

template <class F>
struct Swapped : F {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return F{}(b, a);
  }
};

template <class F>
constexpr bool is_power = is_same<F, Power> || is_same<F, Swapped<Power>>;

template <class T, class F>
FASTNN_INLINE void binary(In a, In b, Out y) {
  broadcast_binary<T, T, F::kSlow>(
      a, b, y, []<bool kOneA, bool kOneB>(const T* a, const T* b, T* y, int64_t n) {
        if constexpr (is_float<T> && is_power<F>)
          pow_run(a, b, y, n);
        else
          map_run<kOneA, kOneB>(a, b, y, n, F{});
      });
}

constexpr int64_t kPowBlock = 1024;

// f(begin, n, constant) over blocks of up to kPowBlock elements; `constant` is as many times the
// value.
template <class T, class F>
FASTNN_INLINE void pow_blocks(int64_t total, T value, F f) {
  T* constant = static_cast<T*>(team::local_scratch(kPowBlock * sizeof(T)));
  for (int64_t i = 0; i < kPowBlock; ++i) constant[i] = value;
  pieces(total, kElementGrain, [&](int64_t begin, int64_t end) {
    for (; begin < end; begin += kPowBlock) f(begin, smaller(kPowBlock, end - begin), constant);
  });
}

template <class T, class F>
FASTNN_INLINE void with_scalar(In x, Out y, double value) {
  // The gate hands on any double; outside of int32 its conversion would be undefined.
  const bool fits = is_float<T> || (value >= -0x1p31 && value < 0x1p31);
  const T one = fits ? static_cast<T>(value) : T(0);
  if (!fits && is_first_member()) team::fault("value does not fit in int32");
  const T* px = x.data<T>();
  T* py = y.data<T>();
  if constexpr (is_float<T> && is_power<F>)
    pow_blocks(x.size(), one, [&](int64_t i, int64_t n, const T* constant) {
      if constexpr (is_same<F, Power>)
        pow_run(px + i, constant, py + i, n);
      else
        pow_run(constant, px + i, py + i, n);
    });
  else
    pieces(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
      map_run<false, true>(px + begin, &one, py + begin, end - begin, F{});
    });
}

}  // namespace

// Kernels of float32, float64 and int32, and of float32 and float64 alone.
#define NUMBERS(name, F)                                                      \
  void name(In a, In b, Out y) noexcept {                                     \
    with_number(y.dtype(), [&](auto t) { binary<decltype(t), F>(a, b, y); }); \
  }
#define FLOATS(name, F)                                                      \
  void name(In a, In b, Out y) noexcept {                                    \
    with_float(y.dtype(), [&](auto t) { binary<decltype(t), F>(a, b, y); }); \
  }
#define NUMBERS_SCALAR(name, F)                                                        \
  void name(In x, Out y, double value) noexcept {                                      \
    with_number(y.dtype(), [&](auto t) { with_scalar<decltype(t), F>(x, y, value); }); \
  }
#define FLOATS_SCALAR(name, F)                                                        \
  void name(In x, Out y, double value) noexcept {                                     \
    with_float(y.dtype(), [&](auto t) { with_scalar<decltype(t), F>(x, y, value); }); \
  }

NUMBERS(add, Add)
NUMBERS(subtract, Subtract)
NUMBERS(multiply, Multiply)
FLOATS(divide, Divide)
NUMBERS_SCALAR(add_scalar, Add)
NUMBERS_SCALAR(rsubtract_scalar, Swapped<Subtract>)
NUMBERS_SCALAR(multiply_scalar, Multiply)
FLOATS_SCALAR(divide_scalar, Divide)
FLOATS_SCALAR(rdivide_scalar, Swapped<Divide>)

NUMBERS(maximum, Maximum)
NUMBERS(minimum, Minimum)
NUMBERS(mod, Mod)
NUMBERS(floor_divide, FloorDivide)
NUMBERS(power, Power)
NUMBERS_SCALAR(maximum_scalar, Maximum)
NUMBERS_SCALAR(minimum_scalar, Minimum)
NUMBERS_SCALAR(mod_scalar, Mod)
NUMBERS_SCALAR(rmod_scalar, Swapped<Mod>)
NUMBERS_SCALAR(floor_divide_scalar, FloorDivide)
NUMBERS_SCALAR(rfloor_divide_scalar, Swapped<FloorDivide>)
NUMBERS_SCALAR(rpower_scalar, Swapped<Power>)

// --- powers with a constant exponent
// --------------------------------------------------------------

namespace {

// Calls f with the cheapest way to x^p, where there is one.
template <class F>
FASTNN_INLINE bool with_simple_exponent(double p, F f) {
  if (p == 1)
    f([](auto x) { return x; });
  else if (p == 2)
    f([](auto x) { return x * x; });
  else if (p == 3)
    f([](auto x) { return x * x * x; });
  else if (p == 0.5)
    f([](auto x) { return sqrt(x); });
  else if (p == -1)
    f([](auto x) { return decltype(x)(1) / x; });
  else
    return false;
  return true;
}

}  // namespace

void power_scalar(In x, Out y, double value) noexcept {
  if (y.dtype() == DType::int32) return with_scalar<int32_t, Power>(x, y, value);
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    if (!with_simple_exponent(value,
                              [&](auto raise) { map(x.data<T>(), y.data<T>(), x.size(), raise); }))
      with_scalar<T, Power>(x, y, value);
  });
}

void power_scalar_grad(In x, In dy, Out dx, double value) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T factor = static_cast<T>(value);
    if (with_simple_exponent(value - 1, [&](auto raise) {
          map(x.data<T>(), dy.data<T>(), dx.data<T>(), x.size(),
              [&](auto x, auto dy) { return raise(x) * decltype(x)(factor) * dy; });
        }))
      return;
    pow_blocks(x.size(), static_cast<T>(value - 1), [&](int64_t i, int64_t n, const T* exponent) {
      alignas(64) T power[kPowBlock];
      pow_run(x.data<T>() + i, exponent, power, n);
      map_run<false, false>(power, dy.data<T>() + i, dx.data<T>() + i, n, [&](auto power, auto dy) {
        return power * decltype(power)(factor) * dy;
      });
    });
  });
}

// --- derivatives that read both operands
// ----------------------------------------------------------

namespace {

// da = dy F(a, b), a and b broadcast to dy's shape; F of powers is also given a^(b - kLess).
template <class F>
FASTNN_INLINE void times_derivative(In a, In b, In dy, Out da) {
  with_float(da.dtype(), [&](auto t) {
    using T = decltype(t);
    broadcast_binary<T, T, F::kSlow>(
        a, b, da, [&]<bool kOneA, bool kOneB>(const T* a, const T* b, T* d, int64_t n) {
          using V = Vec<T>;
          const T* seed = dy.data<T>() + (d - da.data<T>());
          if constexpr (F::kSlow) {
            alignas(64) T exponent[kPowBlock], power[kPowBlock];
            for (int64_t at = 0; at < n; at += kPowBlock) {
              const int64_t end = smaller(kPowBlock, n - at);
              for (int64_t i = 0; i < end; i += V::size)
                (V::load_n(b + at + i, end - i) - V(T(F::kLess))).store_n(exponent + i, end - i);
              pow_run(a + at, exponent, power, end);
              for (int64_t i = 0; i < end; i += V::size) {
                const int64_t m = end - i;
                const V derivative = F{}(V::load_n(a + at + i, m), V::load_n(b + at + i, m),
                                         V::load_n(power + i, m));
                (V::load_n(seed + at + i, m) * derivative).store_n(d + at + i, m);
              }
            }
          } else {
            for (int64_t i = 0; i < n; i += V::size) {
              const int64_t m = n - i;
              const V va = kOneA ? V(*a) : V::load_n(a + i, m),
                      vb = kOneB ? V(*b) : V::load_n(b + i, m);
              (V::load_n(seed + i, m) * F{}(va, vb)).store_n(d + i, m);
            }
          }
        });
  });
}

struct IsLarger : Quick {  // ties share the gradient
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return select(a > b, V(1), select(a == b, V(0.5), V(0)));
  }
};
struct PowerByBase : Slow {
  static constexpr int kLess = 1;
  template <class V>
  FASTNN_INLINE V operator()(V, V b, V power) const {
    return select(b == V(0), V(0), b * power);
  }
};
struct PowerByExponent : Slow {  // 0^b does not depend on b > 0
  static constexpr int kLess = 0;
  template <class V>
  FASTNN_INLINE V operator()(V a, V, V power) const {
    return power * log(select(a == V(0), V(1), a));
  }
};

}  // namespace

void maximum_grad(In a, In b, In dy, Out da) noexcept { times_derivative<IsLarger>(a, b, dy, da); }
void power_grad(In a, In b, In dy, Out da) noexcept { times_derivative<PowerByBase>(a, b, dy, da); }
void power_exponent_grad(In a, In b, In dy, Out db) noexcept {
  times_derivative<PowerByExponent>(a, b, dy, db);
}

// --- cast ---------------------------------------------------------------------------------------

namespace {

template <class From, class To>
FASTNN_INLINE void convert(const From* x, To* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (is_same<To, uint8_t> && is_float<From>)
      y[i] = static_cast<uint8_t>(static_cast<int32_t>(x[i]));
    else
      y[i] = static_cast<To>(x[i]);
  }
}

// Truth values are read and written as bytes: 0 is false, anything else true.
template <class From>
FASTNN_INLINE void convert(const From* x, bool* y, int64_t n) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(y);
  for (int64_t i = 0; i < n; ++i) bytes[i] = x[i] != 0;
}
template <class To>
FASTNN_INLINE void convert(const bool* x, To* y, int64_t n) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(x);
  for (int64_t i = 0; i < n; ++i) y[i] = bytes[i] != 0;
}
FASTNN_INLINE void convert(const bool* x, bool* y, int64_t n) {
  convert(reinterpret_cast<const uint8_t*>(x), y, n);
}

}  // namespace

void cast(In x, Out y) noexcept {
  with_any(x.dtype(), [&](auto from) {
    with_any(y.dtype(), [&](auto to) {
      pieces(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
        convert(x.data<decltype(from)>() + begin, y.data<decltype(to)>() + begin, end - begin);
      });
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
