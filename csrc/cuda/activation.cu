// Activation functions and their gradients, on map.cuh.
#include "activation.cuh"

#include "kernels.h"
#include "map.cuh"

namespace fastnn::cuda {

template <class T>
void relu_launch(const T* x, T* y, int64_t n, Stream stream) {
  map_launch(Relu{}, n, stream, y, x);
}

template <class T>
void relu_grad_launch(const T* y, const T* dy, T* dx, int64_t n, Stream stream) {
  map_launch(ReluGrad{}, n, stream, dx, y, dy);
}

template <class T>
void sigmoid_launch(const T* x, T* y, int64_t n, Stream stream) {
  map_launch(Sigmoid{}, n, stream, y, x);
}

template <class T>
void tanh_launch(const T* x, T* y, int64_t n, Stream stream) {
  map_launch(Tanh{}, n, stream, y, x);
}

template <class T>
void exp_launch(const T* x, T* y, int64_t n, Stream stream) {
  map_launch(Exp{}, n, stream, y, x);
}

#define FN_INSTANTIATE(T)                                                  \
  template void relu_launch(const T*, T*, int64_t, Stream);                \
  template void relu_grad_launch(const T*, const T*, T*, int64_t, Stream); \
  template void sigmoid_launch(const T*, T*, int64_t, Stream);             \
  template void tanh_launch(const T*, T*, int64_t, Stream);                \
  template void exp_launch(const T*, T*, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
