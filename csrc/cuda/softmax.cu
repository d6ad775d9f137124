// Softmax over rows, alone and fused with the sparse categorical cross-entropy.
//
// One kernel body per formula, two ways to hold a row: up to 1024 floats (128 doubles) in the
// registers of a warp, read once; longer ones by a block that reads them again from the cache. The
// maximum is subtracted first, so exp never overflows (Goodfellow et al., Deep Learning,
// section 4.1).
#include "kernels.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kWarpsPerBlock = 4, kRowThreads = 256;

// A row in registers: element i of lane l is x[l + 32 i].
template <class T, int kPerLane>
struct RegisterRow {
  using Group = WarpGroup;
  static constexpr int kRowsPerBlock = kWarpsPerBlock, kThreads = kWarpsPerBlock * kWarp;
  T v[kPerLane] = {};
  const int cols;
  FN_DEVICE RegisterRow(const Group& group, const T* x, int cols) : cols(cols) {
    each(group, [&](T& e, int j) { e = x[j]; });
  }
  template <class F>
  FN_DEVICE void each(const Group& group, F f) {
    FN_UNROLL
    for (int i = 0; i < kPerLane; ++i)
      if (const int j = group.rank() + i * kWarp; j < cols) f(v[i], j);
  }
};

// A row left in memory. An element is read by the thread that later writes it, so in place is fine.
template <class T>
struct StreamedRow {
  using Group = BlockGroup<T, kRowThreads>;
  static constexpr int kRowsPerBlock = 1, kThreads = kRowThreads;
  const T* const x;
  const int cols;
  FN_DEVICE StreamedRow(const Group&, const T* x, int cols) : x(x), cols(cols) {}
  template <class F>
  FN_DEVICE void each(const Group& group, F f) {
    for (int j = group.rank(); j < cols; j += kRowThreads) {
      T e = x[j];
      f(e, j);
    }
  }
};

// Calls body(group, row number) for the group's row, if there is one.
template <class Row, class F>
FN_DEVICE void for_my_row(std::int64_t rows, F body) {
  using Group = typename Row::Group;
  struct Shared {
    typename Group::Scratch scratch;
  };
  FN_SHARED(Shared, s);
  const int mine = Row::kRowsPerBlock > 1 ? warp::index() : 0;
  const std::int64_t row = static_cast<std::int64_t>(block_idx().x) * Row::kRowsPerBlock + mine;
  if (row < rows) body(Group(s.scratch), row);  // a whole group skips: no one waits for it
}

// Maximum of the row and the sum of exp(x - maximum).
template <class T>
struct Normalizer {
  T top, sum;
  template <class Group, class Row>
  FN_DEVICE Normalizer(const Group& group, Row& row) {
    T most = -kInfinity<T>;
    row.each(group, [&](T e, int) { most = Max{}(most, e); });
    top = group.reduce(most, Max{});
    T part = 0;
    row.each(group, [&](T e, int) { part += std::exp(e - top); });
    sum = group.reduce(part, Sum{});
  }
  FN_DEVICE T operator()(T e) const { return std::exp(e - top) / sum; }
};

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

template <class T, class Row>
__global__ void __launch_bounds__(Row::kThreads)
    softmax_xent_kernel(const T* x, const std::int32_t* labels, T* loss, std::int64_t rows,
                        int cols) {
  for_my_row<Row>(rows, [&](const auto& group, std::int64_t r) {
    Row row(group, x + r * cols, cols);
    const Normalizer<T> softmax(group, row);
    const int label = labels[r];
    if (group.rank() != 0) return;
    loss[r] = label >= 0 && label < cols
                  ? std::log(softmax.sum) - (x[r * cols + label] - softmax.top)
                  : kNaN<T>;
  });
}

template <class T, class Row>
__global__ void __launch_bounds__(Row::kThreads)
    softmax_xent_grad_kernel(const T* x, const std::int32_t* labels, const T* dloss, T* dx,
                             std::int64_t rows, int cols) {
  for_my_row<Row>(rows, [&](const auto& group, std::int64_t r) {
    Row row(group, x + r * cols, cols);
    const Normalizer<T> softmax(group, row);
    const int label = labels[r];
    const T scale = label >= 0 && label < cols ? dloss[r] : kNaN<T>;
    row.each(group, [&](T e, int j) {
      dx[r * cols + j] = scale * (softmax(e) - (j == label ? T(1) : T(0)));
    });
  });
}

// Calls run(Row type tag) with the way to hold rows of this length.
template <class Row>
struct Tag {
  using type = Row;
};
template <class T, class F>
void choose_row(int64_t rows, int64_t cols, Stream stream, F run) {
  if (rows == 0 || cols == 0) return;
  if (cols > std::numeric_limits<int>::max() - kRowThreads)
    throw DeviceError("softmax: rows of " + std::to_string(cols) + " are too long");
  const auto with = [&](auto tag) {
    using Row = typename decltype(tag)::type;
    run(tag, LaunchCfg{grid_for(rows, Row::kRowsPerBlock), Row::kThreads, 0, stream});
  };
  constexpr int kLongest = sizeof(T) == 4 ? 32 : 4;  // more would spill registers
  if (cols <= kWarp)
    with(Tag<RegisterRow<T, 1>>());
  else if (cols <= 4 * kWarp)
    with(Tag<RegisterRow<T, 4>>());
  else if (cols <= kLongest * kWarp)
    with(Tag<RegisterRow<T, kLongest>>());
  else
    with(Tag<StreamedRow<T>>());
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

template <class T>
void softmax_xent_launch(const T* x, const int32_t* labels, T* loss, int64_t rows, int64_t cols,
                         Stream stream) {
  choose_row<T>(rows, cols, stream, [&](auto tag, const LaunchCfg& cfg) {
    using Row = typename decltype(tag)::type;
    launch<softmax_xent_kernel<T, Row>>(cfg, x, labels, loss, rows, static_cast<int>(cols));
  });
}

template <class T>
void softmax_xent_grad_launch(const T* x, const int32_t* labels, const T* dloss, T* dx,
                              int64_t rows, int64_t cols, Stream stream) {
  choose_row<T>(rows, cols, stream, [&](auto tag, const LaunchCfg& cfg) {
    using Row = typename decltype(tag)::type;
    launch<softmax_xent_grad_kernel<T, Row>>(cfg, x, labels, dloss, dx, rows,
                                             static_cast<int>(cols));
  });
}

#define FN_INSTANTIATE(T)                                                                          \
  template void softmax_launch(const T*, T*, int64_t, int64_t, Stream);                            \
  template void softmax_grad_launch(const T*, const T*, T*, int64_t, int64_t, Stream);             \
  template void softmax_xent_launch(const T*, const int32_t*, T*, int64_t, int64_t, Stream);       \
  template void softmax_xent_grad_launch(const T*, const int32_t*, const T*, T*, int64_t, int64_t, \
                                         Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
