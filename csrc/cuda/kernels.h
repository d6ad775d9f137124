// The host side of every CUDA kernel: sizes are int64, arrays contiguous, work ordered on a stream.
//
// T is float or double. Sums have a fixed order and split counts depend on the sizes alone, so the
// same input gives the same bits on every GPU. Output may be an input array only where it says so.
// Throws DeviceError when a launch fails.
#pragma once

#include <cstdint>

#include "device.h"

namespace fastnn::cuda {

using std::int32_t;
using std::int64_t;

// --- matmul.cu: `batch` matrices one after the other in each array
enum class Epilogue { kLinear, kRelu };

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
                  Epilogue activation, Stream stream);

// --- softmax.cu: over the last axis of (rows, cols); y may be x, dx may be dy or x
template <class T>
void softmax_launch(const T* x, T* y, int64_t rows, int64_t cols, Stream stream);
// dx = y (dy - sum(y dy)), y being the softmax
template <class T>
void softmax_grad_launch(const T* y, const T* dy, T* dx, int64_t rows, int64_t cols, Stream stream);
// loss (rows) = log(sum(exp(x))) - x[label]; a label outside [0, cols) gives NaN
template <class T>
void softmax_xent_launch(const T* x, const int32_t* labels, T* loss, int64_t rows, int64_t cols,
                         Stream stream);
// dx = dloss (softmax(x) - onehot(label)), dloss (rows)
template <class T>
void softmax_xent_grad_launch(const T* x, const int32_t* labels, const T* dloss, T* dx,
                              int64_t rows, int64_t cols, Stream stream);

// --- optimizer.cu: p, m, v in place; lr and the step count t (1 at the first step) on the device
template <class T>
void adam_launch(T* p, const T* g, T* m, T* v, const float* lr, const int32_t* t, double beta1,
                 double beta2, double epsilon, int64_t n, Stream stream);

// --- elementwise.cu, activation.cu: n elements each; y may be any input of the same type
template <class T>
void fill_launch(T* y, T value, int64_t n, Stream stream);
template <class T>
void add_launch(const T* a, const T* b, T* y, int64_t n, Stream stream);
template <class T>
void scale_launch(const T* x, T factor, T* y, int64_t n, Stream stream);
template <class T>
void relu_launch(const T* x, T* y, int64_t n, Stream stream);
// dx = dy where y > 0, else 0; y is relu's output (or its input)
template <class T>
void relu_grad_launch(const T* y, const T* dy, T* dx, int64_t n, Stream stream);
template <class T>
void sigmoid_launch(const T* x, T* y, int64_t n, Stream stream);
template <class T>
void tanh_launch(const T* x, T* y, int64_t n, Stream stream);
template <class T>
void exp_launch(const T* x, T* y, int64_t n, Stream stream);

// --- reduce.cu: y (cols) = sum over the rows of x (rows, cols)
// Needs sum_rows_workspace(rows, cols) elements (maybe 0) of scratch memory.
int64_t sum_rows_workspace(int64_t rows, int64_t cols);
template <class T>
void sum_rows_launch(const T* x, T* y, T* workspace, int64_t rows, int64_t cols, Stream stream);

// --- move.cu: y (count, cols) = x (rows, cols)[index (count)]
// T may also be int32. An index outside [0, rows) gives NaN, or -1, instead of a stray read.
template <class T>
void gather_rows_launch(const T* x, const int32_t* index, T* y, int64_t rows, int64_t count,
                        int64_t cols, Stream stream);

}  // namespace fastnn::cuda
