// Truth values: comparisons, logic, tests of numbers, and choices by them. The loops are plain; the
// compiler turns comparisons and choices into vector code on every instruction set.
#include "cpu/broadcast.h"
#include "cpu/vecmath.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

struct Equal {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a == b;
  }
};
struct NotEqual {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a != b;
  }
};
struct Less {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessEqual {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterEqual {
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    return a >= b;
  }
};

template <bool kOneA, bool kOneB, class T, class F>
FASTNN_INLINE void truth_run(const T* __restrict a, const T* __restrict b, uint8_t* __restrict y,
                             int64_t n, F f) {
  const T one_a = *a, one_b = *b;
  for (int64_t i = 0; i < n; ++i) y[i] = f(kOneA ? one_a : a[i], kOneB ? one_b : b[i]);
}

template <class T, class F>
FASTNN_INLINE void truths_of(In x, Out y, F f) {
  pieces(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict from = x.data<T>() + begin;
    uint8_t* __restrict to = y.data<uint8_t>() + begin;
    for (int64_t i = 0; i < end - begin; ++i) to[i] = f(from[i]);
  });
}

template <class F>
FASTNN_INLINE void compare(In a, In b, Out y, F f) {
  with_number(a.dtype(), [&](auto t) {
    using T = decltype(t);
    broadcast_binary<T, uint8_t>(
        a, b, y, [&]<bool kOneA, bool kOneB>(const T* a, const T* b, uint8_t* y, int64_t n) {
          truth_run<kOneA, kOneB>(a, b, y, n, f);
        });
  });
}

template <class F>
FASTNN_INLINE void compare_scalar(In x, Out y, double value, F f) {
  with_number(x.dtype(), [&](auto t) {
    // Integers are compared as doubles, which hold them all, so that 2 < 2.5.
    using T = decltype(t);
    if constexpr (is_float<T>)
      truths_of<T>(x, y, [=, one = static_cast<T>(value)](T v) { return f(v, one); });
    else
      truths_of<T>(x, y, [=](T v) { return f(static_cast<double>(v), value); });
  });
}

}  // namespace

#define COMPARISON(name, F) \
  void name(In a, In b, Out y) noexcept { compare(a, b, y, F{}); }
#define COMPARISON_SCALAR(name, F) \
  void name(In x, Out y, double value) noexcept { compare_scalar(x, y, value, F{}); }

COMPARISON(equal, Equal)
COMPARISON(not_equal, NotEqual)
COMPARISON(less, Less)
COMPARISON(less_equal, LessEqual)
COMPARISON_SCALAR(equal_scalar, Equal)
COMPARISON_SCALAR(not_equal_scalar, NotEqual)
COMPARISON_SCALAR(less_scalar, Less)
COMPARISON_SCALAR(less_equal_scalar, LessEqual)
COMPARISON_SCALAR(greater_scalar, Greater)
COMPARISON_SCALAR(greater_equal_scalar, GreaterEqual)

// --- logic --------------------------------------------------------------------------------------

#define LOGIC(name, expression)                                                                 \
  void name(In a, In b, Out y) noexcept {                                                       \
    broadcast_binary<uint8_t, uint8_t>(                                                         \
        a, b, y,                                                                                \
        []<bool kOneA, bool kOneB>(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n) { \
          truth_run<kOneA, kOneB>(a, b, y, n, [](uint8_t p, uint8_t q) { return expression; }); \
        });                                                                                     \
  }

LOGIC(logical_and, (p != 0) & (q != 0))
LOGIC(logical_or, (p | q) != 0)
LOGIC(logical_xor, (p != 0) != (q != 0))

void logical_not(In x, Out y) noexcept {
  truths_of<uint8_t>(x, y, [](uint8_t v) { return v == 0; });
}

#define NUMBER_TEST(name, expression)                     \
  void name(In x, Out y) noexcept {                       \
    with_float(x.dtype(), [&](auto t) {                   \
      using T = decltype(t);                              \
      constexpr T inf = infinity<T>;                      \
      (void)inf;                                          \
      truths_of<T>(x, y, [](T v) { return expression; }); \
    });                                                   \
  }

NUMBER_TEST(isnan, v != v)
NUMBER_TEST(isinf, (v == inf) | (v == -inf))
NUMBER_TEST(isfinite, (v > -inf) & (v < inf))

// --- choices ------------------------------------------------------------------------------------

namespace {

template <bool kOneA, bool kOneB, class T>
FASTNN_INLINE void where_run(const uint8_t* c, const T* a, const T* b, T* y, int64_t n) {
  const T one_a = *a, one_b = *b;
  for (int64_t i = 0; i < n; ++i) {
    const T va = kOneA ? one_a : a[i], vb = kOneB ? one_b : b[i];
    y[i] = c[i] ? va : vb;
  }
}

}  // namespace

void where(In condition, In a, In b, Out y) noexcept {
  with_bytes(y.dtype(), [&](auto t) {
    using T = decltype(t);
    const Broadcast<3> plan(y, {condition, a, b});
    const uint8_t* pc = condition.data<uint8_t>();
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.data<T>();
    pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
      plan.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
        const uint8_t* c = pc + offset[0];
        const T* ra = pa + offset[1];
        const T* rb = pb + offset[2];
        const bool one_c = !plan.stride[0][0], one_a = !plan.stride[1][0],
                   one_b = !plan.stride[2][0];
        if (one_c) {
          const T* chosen = *c ? ra : rb;
          const bool one = *c ? one_a : one_b;
          for (int64_t i = 0; i < n; ++i) py[at + i] = chosen[one ? 0 : i];
        } else if (one_a && one_b) {
          where_run<true, true>(c, ra, rb, py + at, n);
        } else if (one_a) {
          where_run<true, false>(c, ra, rb, py + at, n);
        } else if (one_b) {
          where_run<false, true>(c, ra, rb, py + at, n);
        } else {
          where_run<false, false>(c, ra, rb, py + at, n);
        }
      });
    });
  });
}

void clip(In x, Out y, double low, double high) noexcept {
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (is_float<T>) {
      const Vec<T> l(static_cast<T>(low)), h(static_cast<T>(high));
      // In this order NaN stays NaN, and high wins over a larger low.
      map(x.data<T>(), y.data<T>(), x.size(),
          [&](auto x) { return min_or_second(h, max_or_second(l, x)); });
    } else {
      const double most = 0x7fffffff, least = -most - 1;
      const auto bounded = [&](double v) {
        return static_cast<T>(v < least ? least : v > most ? most : v);
      };
      const IntVec<T> l(bounded(__builtin_ceil(low))), h(bounded(__builtin_floor(high)));
      map(x.data<T>(), y.data<T>(), x.size(), [&](auto x) { return min(h, max(l, x)); });
    }
  });
}

void clip_grad(In x, In dy, Out dx, double low, double high) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Vec<T> l(static_cast<T>(low)), h(static_cast<T>(high));
    map(x.data<T>(), dy.data<T>(), dx.data<T>(), x.size(),
        [&](auto x, auto dy) { return select((x >= l) & (x <= h), dy, Vec<T>(0)); });
  });
}

}  // namespace fastnn::FASTNN_ISA
