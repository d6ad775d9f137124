// Arithmetic of two operands that broadcast, and of one with a number that is part of the program.
//
// Integers wrap, as NumPy's do, and x / 0 is 0: no value of a tensor may stop the process.
#include "cpu/broadcast.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn::FASTNN_ISA {

namespace {

struct Add {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const { return a + b; }
};
struct Subtract {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const { return a - b; }
};
struct Multiply {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const { return a * b; }
};
struct Divide {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const { return a / b; }
};

template <class F>
struct Swapped {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const { return F{}(b, a); }
};

template <class T, class F>
FASTNN_INLINE void binary(In a, In b, Out y) {
  broadcast_binary<T, T>(a, b, y, []<bool kOneA, bool kOneB>(const T* a, const T* b, T* y, int64_t n) {
    map_run<kOneA, kOneB>(a, b, y, n, F{});
  });
}

template <class T, class F>
FASTNN_INLINE void with_scalar(In x, Out y, double value) {
  const T one = static_cast<T>(value);
  pieces(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    map_run<false, true>(x.data<T>() + begin, &one, y.data<T>() + begin, end - begin, F{});
  });
}

}  // namespace

// Kernels of float32, float64 and int32, and of float32 and float64 alone.
#define NUMBERS(name, F) \
  void name(In a, In b, Out y) noexcept { with_number(y.dtype(), [&](auto t) { binary<decltype(t), F>(a, b, y); }); }
#define FLOATS(name, F) \
  void name(In a, In b, Out y) noexcept { with_float(y.dtype(), [&](auto t) { binary<decltype(t), F>(a, b, y); }); }
#define NUMBERS_SCALAR(name, F)                         \
  void name(In x, Out y, double value) noexcept {       \
    with_number(y.dtype(), [&](auto t) { with_scalar<decltype(t), F>(x, y, value); }); \
  }
#define FLOATS_SCALAR(name, F)                          \
  void name(In x, Out y, double value) noexcept {       \
    with_float(y.dtype(), [&](auto t) { with_scalar<decltype(t), F>(x, y, value); });  \
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
