// What follows the product of a step: short rows of units that are in L1, fetched, scaled, and sent
// through activations.
#pragma once
#include "cpu/activate.h"

namespace fastnn::FASTNN_ISA::recurrent {

// f(j, count) over count units, a vector at a time.
template <class T, class F>
FASTNN_INLINE void vectors(int64_t count, F f) {
  for (int64_t j = 0; j < count; j += Vec<T>::size) f(j, count - j);
}

// The rows of a sequence lie all its steps apart, and no prefetcher of the hardware follows from
// one to the next: what the next step touches is fetched into L2 while this one computes.
template <class T>
FASTNN_INLINE void fetch(const T* p, int64_t count) {
  for (int64_t j = 0; j < count; j += 64 / (int64_t)sizeof(T)) __builtin_prefetch(p + j, 0, 2);
}

// y = x scale, of `count` units; x null: zeros, scale null: ones.
template <class T>
FASTNN_INLINE void scaled(const T* x, const T* scale, T* y, int64_t count) {
  using V = Vec<T>;
  vectors<T>(count, [&](int64_t j, int64_t left) {
    V v = x ? V::load_n(x + j, left) : V(T(0));
    if (scale) v *= V::load_n(scale + j, left);
    v.store_n(y + j, left);
  });
}

struct Act {
  Activation kind;
  double alpha;
  FASTNN_INLINE bool reads_input() const {
    return activation::derivative_reads[(int)kind] == DerivativeReads::input;
  }
};

// y = act(x + x2), and z becomes what the derivative reads: its argument or its value. x2 may be z.
template <class T>
__attribute__((noinline)) void activate(Act act, const T* x, const T* x2, T* z, T* y,
                                        int64_t count) {
  using V = Vec<T>;
  with_activation(act.kind, act.alpha, [&](auto f) {
    constexpr bool reads_input = decltype(f)::reads == DerivativeReads::input;
    vectors<T>(count, [&](int64_t j, int64_t left) {
      const V sum = V::load_n(x + j, left) + V::load_n(x2 + j, left), value = f.forward(sum);
      (reads_input ? sum : value).store_n(z + j, left);
      value.store_n(y + j, left);
    });
  });
}

// y = act(x).
template <class T>
__attribute__((noinline)) void evaluate(Act act, const T* x, T* y, int64_t count) {
  using V = Vec<T>;
  with_activation(act.kind, act.alpha, [&](auto f) {
    vectors<T>(count, [&](int64_t j, int64_t left) {
      f.forward(V::load_n(x + j, left)).store_n(y + j, left);
    });
  });
}

// y = act of what activate() left it of.
template <class T>
FASTNN_INLINE void recall(Act act, const T* kept, T* y, int64_t count) {
  if (act.reads_input())
    evaluate(act, kept, y, count);
  else
    scaled<T>(kept, nullptr, y, count);
}

// y = act(x) and its derivative dy, from x itself or, with kept_by_activate, from what activate()
// left.
template <class T>
__attribute__((noinline)) void differentiate(Act act, bool kept_by_activate, const T* x, T* y,
                                             T* dy, int64_t count) {
  using V = Vec<T>;
  with_activation(act.kind, act.alpha, [&](auto f) {
    const bool forward = !kept_by_activate || decltype(f)::reads == DerivativeReads::input;
    vectors<T>(count, [&](int64_t j, int64_t left) {
      const V v = V::load_n(x + j, left), value = forward ? f.forward(v) : v;
      value.store_n(y + j, left);
      f.derivative(v, value).store_n(dy + j, left);
    });
  });
}

}  // namespace fastnn::FASTNN_ISA::recurrent
