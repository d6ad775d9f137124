// Sparse categorical cross-entropy per row and its gradient, on rows.cuh; meaning and clipping are
// those of csrc/cpu/loss.cpp. Two numbers a row go from the forward to the backward pass: from
// logits {maximum, sum of exp(x - maximum)}, from probabilities {their sum, 0}.
#include "losses.h"

#include "body.h"
#include "rows.cuh"

namespace fastnn::cuda {

namespace {

template <class T>
constexpr T kLow = static_cast<T>(kProbabilityFloor);
template <class T>
constexpr T kHigh = static_cast<T>(1 - kProbabilityFloor);

// The class of a row; -1 for an ignored row and, after a report, for one outside [0, cols).
FN_DEVICE int label_of(std::int32_t label, int cols, std::int64_t ignored, const Report& bad) {
  if (label == ignored) return -1;
  if (label >= 0 && label < cols) return label;
  bad(label, cols);
  return -1;
}

template <class T, class Row>
__global__ void __launch_bounds__(Row::kThreads)
    sparse_crossentropy_kernel(const T* x, const std::int32_t* labels, T* loss, T* stats,
                               std::int64_t rows, int cols, bool from_logits, std::int64_t ignored,
                               Report bad_label) {
  for_my_row<Row>(rows, [&](const auto& group, std::int64_t r) {
    Row row(group, x + r * cols, cols);
    T first, second = 0;
    if (from_logits) {
      const Normalizer<T> softmax(group, row);
      first = softmax.top;
      second = softmax.sum;
    } else {
      T part = 0;
      row.each(group, [&](T e, int) { part += e; });
      first = group.reduce(part, Sum{});
    }
    if (group.rank() != 0) return;
    stats[2 * r] = first;
    stats[2 * r + 1] = second;
    const int label = label_of(labels[r], cols, ignored, bad_label);
    if (label < 0) {
      loss[r] = 0;
    } else if (from_logits) {
      loss[r] = std::log(second) + (first - x[r * cols + label]);
    } else {
      const T q = x[r * cols + label] / first;
      loss[r] = -std::log(q < kLow<T> ? kLow<T> : q > kHigh<T> ? kHigh<T> : q);
    }
  });
}

// One thread per element: the row's numbers are there already.
constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    sparse_crossentropy_grad_kernel(const T* x, const std::int32_t* labels, const T* stats,
                                    const T* dloss, T* dx, std::int64_t total, int cols,
                                    bool from_logits, std::int64_t ignored, Report bad_label) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kThreads + thread_idx().x;
  if (i >= total) return;
  const std::int64_t r = i / cols;
  const int j = static_cast<int>(i - r * cols);
  const int label = label_of(labels[r], cols, ignored, bad_label);
  const T first = stats[2 * r], d = dloss[r];
  T result = 0;
  if (label >= 0 && from_logits) {
    result = std::exp(x[i] - first) * (d / stats[2 * r + 1]) - (j == label ? d : T(0));
  } else if (label >= 0) {
    const T q = x[r * cols + label] / first;
    if (!(q < kLow<T> || q > kHigh<T>)) result = d / first - (j == label ? d / x[i] : T(0));
  }
  dx[i] = result;
}

}  // namespace

template <class T>
void sparse_crossentropy_launch(const T* y, const int32_t* labels, T* loss, T* stats, int64_t rows,
                                int64_t cols, bool from_logits, int64_t ignored, Report bad_label,
                                Stream stream) {
  choose_row<T>(rows, cols, stream, [&](auto tag, const LaunchCfg& cfg) {
    using Row = typename decltype(tag)::type;
    launch<sparse_crossentropy_kernel<T, Row>>(
        cfg, y, labels, loss, stats, rows, static_cast<int>(cols), from_logits, ignored, bad_label);
  });
}

template <class T>
void sparse_crossentropy_grad_launch(const T* y, const int32_t* labels, const T* stats,
                                     const T* dloss, T* dy, int64_t rows, int64_t cols,
                                     bool from_logits, int64_t ignored, Report bad_label,
                                     Stream stream) {
  if (rows == 0 || cols == 0) return;
  launch<sparse_crossentropy_grad_kernel<T>>(
      {grid_for(rows * cols, kThreads), kThreads, 0, stream}, y, labels, stats, dloss, dy,
      rows * cols, static_cast<int>(cols), from_logits, ignored, bad_label);
}

#define FN_INSTANTIATE(T)                                                                         \
  template void sparse_crossentropy_launch(const T*, const int32_t*, T*, T*, int64_t, int64_t,    \
                                           bool, int64_t, Report, Stream);                        \
  template void sparse_crossentropy_grad_launch(const T*, const int32_t*, const T*, const T*, T*, \
                                                int64_t, int64_t, bool, int64_t, Report, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

void sparse_crossentropy(In y, In label, Out loss, Out stats, bool from_logits,
                         int64_t ignored) noexcept {
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sparse_crossentropy_launch(y.data<T>(), label.data<int32_t>(), loss.data<T>(),
                                 stats.data<T>(), y.rows(), y.cols(), from_logits, ignored,
                                 report("sparse_crossentropy", "label"), stream);
    });
  });
}

void sparse_crossentropy_grad(In y, In label, In stats, In dloss, Out dy, bool from_logits,
                              int64_t ignored) noexcept {
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sparse_crossentropy_grad_launch(y.data<T>(), label.data<int32_t>(), stats.data<T>(),
                                      dloss.data<T>(), dy.data<T>(), y.rows(), y.cols(),
                                      from_logits, ignored,
                                      report("sparse_crossentropy_grad", "label"), stream);
    });
  });
}

}  // namespace fastnn::cuda
