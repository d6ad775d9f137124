// Matrix products and the dense layer, on gemm.cuh.
#include "activation.cuh"
#include "gemm.cuh"
#include "kernels.h"

namespace fastnn::cuda {

template <class T>
void matmul_nn_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch) {
  gemm<Layout::NN>(a, b, static_cast<const T*>(nullptr), c, {batch, m, n, k}, stream);
}

template <class T>
void matmul_nt_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch) {
  gemm<Layout::NT>(a, b, static_cast<const T*>(nullptr), c, {batch, m, n, k}, stream);
}

template <class T>
void matmul_tn_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch) {
  gemm<Layout::TN>(a, b, static_cast<const T*>(nullptr), c, {batch, m, n, k}, stream);
}

template <class T>
void dense_launch(const T* x, const T* w, const T* bias, T* y, int64_t m, int64_t n, int64_t k,
                  Epilogue activation, Stream stream) {
  const GemmShape shape{1, m, n, k};
  switch (activation) {
    case Epilogue::kLinear:
      return gemm<Layout::NN>(x, w, bias, y, shape, stream);
    case Epilogue::kRelu:
      return gemm<Layout::NN, Relu>(x, w, bias, y, shape, stream);
  }
}

#define FN_INSTANTIATE(T)                                                                   \
  template void matmul_nn_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void matmul_nt_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void matmul_tn_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void dense_launch(const T*, const T*, const T*, T*, int64_t, int64_t, int64_t,   \
                             Epilogue, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
