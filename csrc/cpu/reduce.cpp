// The reductions: what is done with the elements; how they are walked is in reduce.h.
#include "cpu/reduce.h"
#include "cpu/vecmath.h"
#include "kernels.h"

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

FASTNN_INLINE double add(double a, double b) { return a + b; }
FASTNN_INLINE float add(float a, float b) { return a + b; }
FASTNN_INLINE int32_t add(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }
template <class V>
FASTNN_INLINE V add(V a, V b) { return a + b; }

struct Sum {
  template <class T>
  using Acc = typename Wide<T>::type;
  template <class T>
  static FASTNN_INLINE T initial() { return 0; }
  template <class V>
  FASTNN_INLINE V map(V x, V) const { return x; }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const { return add(a, b); }
  template <class T, class A>
  FASTNN_INLINE T finish(A a, int64_t, T) const { return static_cast<T>(a); }
};

struct Mean : Sum {
  template <class T, class A>
  FASTNN_INLINE T finish(A a, int64_t n, T) const { return static_cast<T>(a / static_cast<A>(n)); }
};

template <class T, class Op>
FASTNN_INLINE void over_middle(In x, In param, Out y, Op op) {
  reduce<Op, T, T>(x.data<T>(), param.data<T>(), y.data<T>(), x.dim(0), x.dim(1), x.dim(2), op);
}

const View kNothing;
const In kNone(&kNothing);

}  // namespace

void sum(In x, Out y) noexcept {
  with_number(x.dtype(), [&](auto t) { over_middle<decltype(t)>(x, kNone, y, Sum{}); });
}
void mean(In x, Out y) noexcept {
  with_float(x.dtype(), [&](auto t) { over_middle<decltype(t)>(x, kNone, y, Mean{}); });
}

}  // namespace fastnn::FASTNN_ISA
