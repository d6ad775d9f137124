// Elementwise arithmetic: of two operands that broadcast, and of one with a number. Integers wrap.
#include "body.h"
#include "broadcast.cuh"
#include "map.cuh"

namespace fastnn::cuda {

namespace {

// Signed overflow is undefined, so integers are computed without their sign.
template <class T>
struct Wrapping {
  using type = T;
};
template <>
struct Wrapping<int32_t> {
  using type = std::uint32_t;
};

#define FN_FUNCTOR(Name, op)                                         \
  struct Name {                                                      \
    template <class T>                                               \
    FN_DEVICE T operator()(T a, T b) const {                         \
      using W = typename Wrapping<T>::type;                          \
      return static_cast<T>(static_cast<W>(a) op static_cast<W>(b)); \
    }                                                                \
  };
FN_FUNCTOR(Add, +)
FN_FUNCTOR(Subtract, -)
FN_FUNCTOR(Multiply, *)
FN_FUNCTOR(Divide, /)
#undef FN_FUNCTOR

// f(x, value), or f(value, x).
template <class F, class T, bool kSwapped>
struct WithScalar {
  T value;
  FN_DEVICE T operator()(T x) const { return kSwapped ? F{}(value, x) : F{}(x, value); }
};

template <class T>
struct Fill {
  T value;
  FN_DEVICE T operator()() const { return value; }
};

template <class F, class T>
void binary_launch(const In& a, const In& b, const Out& y, Stream stream) {
  const Broadcast<2> plan(y, {a, b});
  const T *pa = a.data<T>(), *pb = b.data<T>();
  T* py = y.data<T>();
  if (plan.total == 0) return;
  if (plan.dense()) return map_launch(F{}, plan.total, stream, py, pa, pb);
  launch<broadcast_kernel<F, T>>(
      {grid_for(plan.total, kBroadcastThreads), kBroadcastThreads, 0, stream}, F{}, plan, pa, pb,
      py);
}

template <class F, bool kSwapped, class T>
void scalar_launch(const In& x, const Out& y, T value, Stream stream) {
  map_launch(WithScalar<F, T, kSwapped>{value}, x.size(), stream, y.data<T>(), x.data<T>());
}

// --- cast: the types are looked at in the kernel. Every type fits into a double, so each value is
// rounded or cut once.
FN_DEVICE double load(const void* x, DType type, std::int64_t i) {
  switch (type) {
    case DType::float32:
      return static_cast<const float*>(x)[i];
    case DType::float64:
      return static_cast<const double*>(x)[i];
    case DType::int32:
      return static_cast<const int32_t*>(x)[i];
    case DType::uint8:
      return static_cast<const std::uint8_t*>(x)[i];
    case DType::boolean:
      break;
  }
  return static_cast<const std::uint8_t*>(x)[i] != 0;
}

FN_DEVICE void store(void* y, DType type, std::int64_t i, double v) {
  switch (type) {
    case DType::float32:
      static_cast<float*>(y)[i] = static_cast<float>(v);
      return;
    case DType::float64:
      static_cast<double*>(y)[i] = v;
      return;
    case DType::int32:
      static_cast<int32_t*>(y)[i] = static_cast<int32_t>(v);
      return;
    case DType::uint8:
      static_cast<std::uint8_t*>(y)[i] = static_cast<std::uint8_t>(static_cast<int32_t>(v));
      return;
    case DType::boolean:
      static_cast<std::uint8_t*>(y)[i] = v != 0;
  }
}

__global__ void __launch_bounds__(kMapThreads)
    cast_kernel(const void* x, void* y, std::int64_t n, DType from, DType to) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kMapThreads + thread_idx().x;
  if (i < n) store(y, to, i, load(x, from, i));
}

}  // namespace

template <class T>
void fill_launch(T* y, T value, int64_t n, Stream stream) {
  map_launch(Fill<T>{value}, n, stream, y);
}
template void fill_launch(float*, float, int64_t, Stream);
template void fill_launch(double*, double, int64_t, Stream);
template void fill_launch(int32_t*, int32_t, int64_t, Stream);
template void fill_launch(std::uint8_t*, std::uint8_t, int64_t, Stream);

// Kernels of float32, float64 and int32 (number), or of float32 and float64 (float).
#define FN_BINARY(name, F, kind)                                                       \
  void name(In a, In b, Out y) noexcept {                                              \
    with_##kind(y.dtype(), [&](auto t) {                                               \
      enqueue([&](Stream stream) { binary_launch<F, decltype(t)>(a, b, y, stream); }); \
    });                                                                                \
  }
#define FN_SCALAR(name, F, kSwapped, kind)                                         \
  void name(In x, Out y, double value) noexcept {                                  \
    with_##kind(y.dtype(), [&](auto t) {                                           \
      enqueue([&](Stream stream) {                                                 \
        scalar_launch<F, kSwapped>(x, y, static_cast<decltype(t)>(value), stream); \
      });                                                                          \
    });                                                                            \
  }
FN_BINARY(add, Add, number)
FN_BINARY(subtract, Subtract, number)
FN_BINARY(multiply, Multiply, number)
FN_BINARY(divide, Divide, float)
FN_SCALAR(add_scalar, Add, false, number)
FN_SCALAR(rsubtract_scalar, Subtract, true, number)
FN_SCALAR(multiply_scalar, Multiply, false, number)
FN_SCALAR(divide_scalar, Divide, false, float)
FN_SCALAR(rdivide_scalar, Divide, true, float)

void cast(In x, Out y) noexcept {
  const int64_t n = x.size();
  if (n == 0) return;
  enqueue([&](Stream stream) {
    launch<cast_kernel>({grid_for(n, kMapThreads), kMapThreads, 0, stream}, x.data<void>(),
                        y.data<void>(), n, x.dtype(), y.dtype());
  });
}

}  // namespace fastnn::cuda
