// Elementwise arithmetic, on map.cuh.
#include "kernels.h"
#include "map.cuh"

namespace fastnn::cuda {

namespace {

template <class T>
struct Fill {
  T value;
  FN_DEVICE T operator()() const { return value; }
};

template <class T>
struct Scale {
  T factor;
  FN_DEVICE T operator()(T x) const { return factor * x; }
};

}  // namespace

template <class T>
void fill_launch(T* y, T value, int64_t n, Stream stream) {
  map_launch(Fill<T>{value}, n, stream, y);
}

template <class T>
void add_launch(const T* a, const T* b, T* y, int64_t n, Stream stream) {
  map_launch(Sum{}, n, stream, y, a, b);
}

template <class T>
void scale_launch(const T* x, T factor, T* y, int64_t n, Stream stream) {
  map_launch(Scale<T>{factor}, n, stream, y, x);
}

#define FN_INSTANTIATE(T)                                            \
  template void fill_launch(T*, T, int64_t, Stream);                 \
  template void add_launch(const T*, const T*, T*, int64_t, Stream); \
  template void scale_launch(const T*, T, T*, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
