// Reductions: what is done with the elements. How they are walked is in reduce.h.
#include "cpu/reduce.h"

#include "cpu/broadcast.h"
#include "cpu/vecmath.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

// Sums of floats go on in double, sums of integers wrap.
template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<float> {
  using type = double;
};

template <class V>
FASTNN_INLINE V plus(V a, V b) {
  return a + b;
}
FASTNN_INLINE int32_t plus(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }
template <class V>
FASTNN_INLINE V times(V a, V b) {
  return a * b;
}
FASTNN_INLINE int32_t times(int32_t a, int32_t b) { return int32_t(uint32_t(a) * uint32_t(b)); }

// Plain numbers in the way of registers: NaN wins.
template <class V>
FASTNN_INLINE V larger_of(V a, V b) {
  return max(a, b);
}
template <class V>
FASTNN_INLINE V smaller_of(V a, V b) {
  return min(a, b);
}
#define PLAIN(T)                                                             \
  FASTNN_INLINE T larger_of(T a, T b) { return a != a ? a : a > b ? a : b; } \
  FASTNN_INLINE T smaller_of(T a, T b) { return a != a ? a : a < b ? a : b; }
PLAIN(float)
PLAIN(double)
PLAIN(int32_t)
#undef PLAIN

template <class T>
constexpr T lowest = -infinity<T>;
template <>
constexpr int32_t lowest<int32_t> = INT32_MIN;
template <class T>
constexpr T highest = infinity<T>;
template <>
constexpr int32_t highest<int32_t> = INT32_MAX;

struct Sum {
  bool mean = false;  // a number, not a type, so that both share their loops
  template <class T>
  using Acc = typename Wide<T>::type;
  template <class T>
  static FASTNN_INLINE T initial() {
    return 0;
  }
  template <class V>
  FASTNN_INLINE V map(V x, V) const {
    return x;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return plus(a, b);
  }
  template <class T, class A>
  FASTNN_INLINE T finish(A a, int64_t n, T) const {
    return static_cast<T>(mean ? a / static_cast<A>(n) : a);
  }
};

struct Variance : Sum {  // the parameter is the mean
  template <class V>
  FASTNN_INLINE V map(V x, V mean) const {
    return (x - mean) * (x - mean);
  }
};

struct Norm : Sum {
  template <class V>
  FASTNN_INLINE V map(V x, V) const {
    return x * x;
  }
  template <class T, class A>
  FASTNN_INLINE T finish(A a, int64_t, T) const {
    return static_cast<T>(__builtin_sqrt(a));
  }
};

// Of a row of infinities the maximum cannot be taken away; e^x is 0 or infinite anyway.
template <class V>
FASTNN_INLINE V shift_of(V max) {
  using T = typename V::Scalar;
  return select(abs(max) < V(infinity<T>), max, V(0));
}

struct LogSumExp : Sum {  // the parameter is the maximum
  template <class V>
  FASTNN_INLINE V map(V x, V max) const {
    return exp(x - shift_of(max));
  }
  template <class T, class A>
  FASTNN_INLINE T finish(A a, int64_t, T max) const {
    const A shift = __builtin_isfinite(max) ? A(max) : A(0);
    return static_cast<T>(__builtin_log(a) + shift);
  }
};

struct Prod : Sum {
  template <class T>
  static FASTNN_INLINE T initial() {
    return 1;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return times(a, b);
  }
};

struct Max : Sum {
  template <class T>
  using Acc = T;
  template <class T>
  static FASTNN_INLINE T initial() {
    return lowest<T>;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return larger_of(a, b);
  }
};

struct Min : Max {
  template <class T>
  static FASTNN_INLINE T initial() {
    return highest<T>;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return smaller_of(a, b);
  }
};

// Bytes of truth values; a byte that is neither 0 nor 1 is true all the same.
struct Any {
  static constexpr bool kTruth = true;
  template <class T>
  using Acc = uint8_t;
  template <class T>
  static FASTNN_INLINE T initial() {
    return 0;
  }
  template <class V>
  FASTNN_INLINE V map(V x, V) const {
    return x;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return a | b;
  }
  FASTNN_INLINE uint8_t combine(uint8_t a, uint8_t b) const { return a | b; }
  FASTNN_INLINE bool decided(uint8_t a) const { return a != 0; }
  template <class T>
  FASTNN_INLINE uint8_t finish(uint8_t a, int64_t, T) const {
    return a != 0;
  }
};

struct All : Any {  // as "none is false": the number of zeros, saturated by |
  template <class V>
  FASTNN_INLINE V map(V x, V) const {
    return V::of((typename V::Raw)(x.v == 0));
  }
  template <class T>
  FASTNN_INLINE uint8_t finish(uint8_t a, int64_t, T) const {
    return a == 0;
  }
};

template <class T, class Op>
FASTNN_OUTLINE void over_middle(In x, const T* param, Out y, Op op) {
  reduce<Op, T, T>(x.data<T>(), param, y.data<T>(), x.dim(0), x.dim(1), x.dim(2), op);
}

}  // namespace

#define REDUCTION(with, name, op)                                                  \
  void name(In x, Out y) noexcept {                                                \
    with(x.dtype(), [&](auto t) { over_middle<decltype(t)>(x, nullptr, y, op); }); \
  }
#define REDUCTION_AROUND(name, param, op)        \
  void name(In x, In param, Out y) noexcept {    \
    with_float(x.dtype(), [&](auto t) {          \
      using T = decltype(t);                     \
      over_middle<T>(x, param.data<T>(), y, op); \
    });                                          \
  }

REDUCTION(with_number, sum, Sum{})
REDUCTION(with_float, mean, Sum{true})
REDUCTION(with_number, prod, Prod{})
REDUCTION(with_float, norm, Norm{})
REDUCTION_AROUND(var, mean, Variance{{true}})
REDUCTION_AROUND(logsumexp, max, LogSumExp{})

// There is no largest of nothing.
#define EXTREMUM(name, Op)                                                                  \
  void name(In x, Out y) noexcept {                                                         \
    if (x.dim(1) == 0 && y.size()) return team::fault("the axis is empty");                 \
    with_number(x.dtype(), [&](auto t) { over_middle<decltype(t)>(x, nullptr, y, Op{}); }); \
  }

EXTREMUM(max, Max)
EXTREMUM(min, Min)

void any(In x, Out y) noexcept { over_middle<uint8_t>(x, nullptr, y, Any{}); }
void all(In x, Out y) noexcept { over_middle<uint8_t>(x, nullptr, y, All{}); }

}  // namespace fastnn::FASTNN_ISA
