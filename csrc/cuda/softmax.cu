// Softmax over rows, on rows.cuh. The maximum is subtracted first, so exp never overflows
// (Goodfellow et al., Deep Learning, section 4.1).
#include "body.h"
#include "rows.cuh"

namespace fastnn::cuda {

namespace {

template <class T, class Row>
__global__ void __launch_bounds__(Row::kThreads)
    softmax_kernel(const T* x, T* y, std::int64_t rows, int cols) {
  for_my_row<Row>(rows, [&](const auto& group, std::int64_t r) {
    Row row(group, x + r * cols, cols);
    const Normalizer<T> softmax(group, row);
    row.each(group, [&](T e, int j) { y[r * cols + j] = softmax(e); });
  });
}

template <class T, class Row>
__global__ void __launch_bounds__(Row::kThreads)
    softmax_grad_kernel(const T* y, const T* dy, T* dx, std::int64_t rows, int cols) {
  for_my_row<Row>(rows, [&](const auto& group, std::int64_t r) {
    Row row(group, y + r * cols, cols);
    T part = 0;
    row.each(group, [&](T e, int j) { part += e * dy[r * cols + j]; });
    const T dot = group.reduce(part, Sum{});
    row.each(group, [&](T e, int j) { dx[r * cols + j] = e * (dy[r * cols + j] - dot); });
  });
}

}  // namespace

template <class T>
void softmax_launch(const T* x, T* y, int64_t rows, int64_t cols, Stream stream) {
  choose_row<T>(rows, cols, stream, [&](auto tag, const LaunchCfg& cfg) {
    using Row = typename decltype(tag)::type;
    launch<softmax_kernel<T, Row>>(cfg, x, y, rows, static_cast<int>(cols));
  });
}

template <class T>
void softmax_grad_launch(const T* y, const T* dy, T* dx, int64_t rows, int64_t cols,
                         Stream stream) {
  choose_row<T>(rows, cols, stream, [&](auto tag, const LaunchCfg& cfg) {
    using Row = typename decltype(tag)::type;
    launch<softmax_grad_kernel<T, Row>>(cfg, y, dy, dx, rows, static_cast<int>(cols));
  });
}

#define FN_INSTANTIATE(T)                                               \
  template void softmax_launch(const T*, T*, int64_t, int64_t, Stream); \
  template void softmax_grad_launch(const T*, const T*, T*, int64_t, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

void softmax(In x, Out y) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      softmax_launch(x.data<T>(), y.data<T>(), x.rows(), x.cols(), stream);
    });
  });
}

void softmax_grad(In y, In dy, Out dx) noexcept {
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      softmax_grad_launch(y.data<T>(), dy.data<T>(), dx.data<T>(), y.rows(), y.cols(), stream);
    });
  });
}

}  // namespace fastnn::cuda
