// The host side of every CUDA kernel: sizes are int64, arrays contiguous, work ordered on a stream.
//
// T is float or double unless said otherwise. Sums have a fixed order and split counts depend on
// the sizes alone, so the same input gives the same bits on every GPU. Output may be an input array
// only where it says so. Throws DeviceError when a launch fails.
#pragma once

#include <cstdint>

#include "activations.h"
#include "device.h"
#include "fault.cuh"

namespace fastnn::cuda {

using std::int32_t;
using std::int64_t;

// --- matmul.cu: `batch` matrices one after the other in each array
// c (m, n) = a (m, k) b (k, n)
template <class T>
void matmul_nn_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch = 1);
// c (m, n) = a (m, k) b (n, k)^T
template <class T>
void matmul_nt_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch = 1);
// c (m, n) = a (k, m)^T b (k, n)
template <class T>
void matmul_tn_launch(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k, Stream stream,
                      int64_t batch = 1);
// y (m, n) = activation(x (m, k) w (k, n) + bias (n)); bias may be nullptr
template <class T>
void dense_launch(const T* x, const T* w, const T* bias, T* y, int64_t m, int64_t n, int64_t k,
                  Activation activation, double alpha, Stream stream);

// --- softmax.cu: over the last axis of (rows, cols); y may be x, dx may be dy or x
template <class T>
void softmax_launch(const T* x, T* y, int64_t rows, int64_t cols, Stream stream);
// dx = y (dy - sum(y dy)), y being the softmax
template <class T>
void softmax_grad_launch(const T* y, const T* dy, T* dx, int64_t rows, int64_t cols, Stream stream);

// --- loss.cu: loss (rows) and what its gradient needs of each row, stats (rows, 2)
template <class T>
void sparse_crossentropy_launch(const T* y, const int32_t* labels, T* loss, T* stats, int64_t rows,
                                int64_t cols, bool from_logits, int64_t ignored, Report bad_label,
                                Stream stream);
template <class T>
void sparse_crossentropy_grad_launch(const T* y, const int32_t* labels, const T* stats,
                                     const T* dloss, T* dy, int64_t rows, int64_t cols,
                                     bool from_logits, int64_t ignored, Report bad_label,
                                     Stream stream);

// --- optimizer.cu: p, m, v in place; lr and the step count t (1 at the first step) on the device
template <class T>
void sgd_launch(T* p, const T* g, const double* lr, int64_t n, Stream stream);
template <class T>
void adam_launch(T* p, const T* g, T* m, T* v, const double* lr, const int32_t* t, double beta1,
                 double beta2, double epsilon, double weight_decay, int64_t n, Stream stream);

// --- elementwise.cu, activation.cu: n elements each; y may be any input of the same type
// T may also be an integer.
template <class T>
void fill_launch(T* y, T value, int64_t n, Stream stream);
template <class T>
void activation_launch(const T* x, T* y, int64_t n, Activation kind, double alpha, Stream stream);
// dx = dy act'(x), or of y where the derivative reads that; the other may be nullptr
template <class T>
void activation_grad_launch(const T* x, const T* y, const T* dy, T* dx, int64_t n, Activation kind,
                            double alpha, Stream stream);

// --- reduce.cu: y (outer, inner) = sum over the middle axis of x (outer, n, inner)
// What becomes of a sum of floats: y = scale sum / divisor, or y += that.
struct Finish {
  double scale = 1, divisor = 1;
  bool add = false;
};
inline constexpr int64_t kWorkspaceDoubles = 1 << 18;
// Doubles of scratch memory that it needs, at most kWorkspaceDoubles.
int64_t sum_workspace(int64_t outer, int64_t n, int64_t inner);
// (T, O): (float, float), (double, double), (int32_t, int32_t); with inner = 1 any type to double.
template <class T, class O>
void sum_launch(const T* x, O* y, double* workspace, int64_t outer, int64_t n, int64_t inner,
                Finish finish, Stream stream);

// --- index.cu: y (count, cols) = x (rows, cols)[index (count)]
// T is an unsigned integer of the element's size. An index outside [0, rows) gives zeros.
template <class T>
void gather_rows_launch(const T* x, const int32_t* index, T* y, int64_t rows, int64_t count,
                        int64_t cols, Report bad_index, Stream stream);

}  // namespace fastnn::cuda
