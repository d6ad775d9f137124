// Matrix products and the dense layer, on gemm.cuh.
#include "activations.h"

#include "body.h"
#include "gemm.cuh"

namespace fastnn::cuda {

namespace {

struct Relu {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return scalar::activation::relu{}.forward(x);
  }
};

constexpr int64_t kKinds = sizeof scalar::activation::derivative_reads / sizeof(DerivativeReads);
constexpr int64_t kMostMatrices = 65535;  // in one launch

// launch(a, b, c, matrices) for all of a batch.
template <class T, class F>
void for_batches(const In& a, const In& b, const Out& c, F launch) {
  const int64_t batch = c.product(0, c.rank() - 2);
  const auto matrix = [](const In& x) { return x.dim(-2) * x.dim(-1); };
  for (int64_t i = 0; i < batch; i += kMostMatrices)
    launch(a.data<T>() + i * matrix(a), b.data<T>() + i * matrix(b), c.data<T>() + i * matrix(c),
           batch - i < kMostMatrices ? batch - i : kMostMatrices);
}

}  // namespace

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

// Relu, the most frequent one, is part of the product; the others are a second pass over y, since
// each would be 20 more kernels to compile and would need registers that the product has not got.
template <class T>
void dense_launch(const T* x, const T* w, const T* bias, T* y, int64_t m, int64_t n, int64_t k,
                  Activation activation, double alpha, Stream stream) {
  const GemmShape shape{1, m, n, k};
  if (activation == Activation::relu) return gemm<Layout::NN, Relu>(x, w, bias, y, shape, stream);
  gemm<Layout::NN>(x, w, bias, y, shape, stream);
  if (activation != Activation::linear)
    activation_launch<T>(y, y, m * n, activation, alpha, stream);
}

#define FN_INSTANTIATE(T)                                                                   \
  template void matmul_nn_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void matmul_nt_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void matmul_tn_launch(const T*, const T*, T*, int64_t, int64_t, int64_t, Stream, \
                                 int64_t);                                                  \
  template void dense_launch(const T*, const T*, const T*, T*, int64_t, int64_t, int64_t,   \
                             Activation, double, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

void matmul_nn(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      matmul_nn_launch(a.data<T>(), b.data<T>(), c.data<T>(), a.rows(), b.dim(1), b.dim(0), stream);
    });
  });
}

void matmul_nt(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      matmul_nt_launch(a.data<T>(), b.data<T>(), c.data<T>(), a.rows(), b.dim(0), b.dim(1), stream);
    });
  });
}

void matmul_tn(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      matmul_tn_launch(a.data<T>(), b.data<T>(), c.data<T>(), c.dim(0), c.dim(1), a.rows(), stream);
    });
  });
}

void batch_matmul_nn(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      for_batches<T>(a, b, c, [&](const T* a_, const T* b_, T* c_, int64_t batch) {
        matmul_nn_launch(a_, b_, c_, c.dim(-2), c.dim(-1), a.dim(-1), stream, batch);
      });
    });
  });
}

void batch_matmul_nt(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      for_batches<T>(a, b, c, [&](const T* a_, const T* b_, T* c_, int64_t batch) {
        matmul_nt_launch(a_, b_, c_, c.dim(-2), c.dim(-1), a.dim(-1), stream, batch);
      });
    });
  });
}

void batch_matmul_tn(In a, In b, Out c) noexcept {
  with_float(a.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      for_batches<T>(a, b, c, [&](const T* a_, const T* b_, T* c_, int64_t batch) {
        matmul_tn_launch(a_, b_, c_, c.dim(-2), c.dim(-1), a.dim(-2), stream, batch);
      });
    });
  });
}

void dense(In x, In w, In b, Out y, int64_t activation, double alpha) noexcept {
  if (activation >= kKinds) return fault("dense", "activation", activation, kKinds);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      dense_launch(x.data<T>(), w.data<T>(), b.data<T>(), y.data<T>(), x.rows(), w.dim(1), w.dim(0),
                   static_cast<Activation>(activation), alpha, stream);
    });
  });
}

}  // namespace fastnn::cuda
