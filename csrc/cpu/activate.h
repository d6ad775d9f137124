// An activation chosen by a kernel's argument: is it one, and applied in place, as the epilogue of
// a product.
#pragma once
#include "activations.h"
#include "cpu/gemm.h"

namespace fastnn::FASTNN_ISA {

// Whether there is such an activation; if not, a fault that names the argument.
FASTNN_INLINE bool known(int64_t activation, const char* argument) {
  constexpr int64_t kinds = sizeof activation::derivative_reads / sizeof(DerivativeReads);
  if (activation >= 0 && activation < kinds) return true;
  team::fault(argument, activation, kinds);
  return false;
}

template <class T>
struct Activate {
  Activation kind;
  double alpha;
  // What most layers have is so little that a caller does it in registers instead.
  FASTNN_INLINE bool is_at_once() const {
    return kind == Activation::linear || kind == Activation::relu;
  }
  FASTNN_INLINE Vec<T> at_once(Vec<T> x) const {
    return kind == Activation::relu ? activation::relu{{alpha}}.forward(x) : x;
  }

  FASTNN_INLINE void operator()(T* c, int64_t, int64_t, int64_t count) const {
    using V = Vec<T>;
    if (kind == Activation::linear) return;
    with_activation(kind, alpha, [&](auto act) {
      for (int64_t j = 0; j < count; j += V::size)
        act.forward(V::load_n(c + j, count - j)).store_n(c + j, count - j);
    });
  }
};

}  // namespace fastnn::FASTNN_ISA
