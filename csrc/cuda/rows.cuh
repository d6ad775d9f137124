// Kernels over the rows of a matrix, with one body per formula and two ways to hold a row: up to
// 1024 floats (128 doubles) in the registers of a warp, read once; longer ones by a block that
// reads them again from the cache.
#pragma once

#include "launch.cuh"

namespace fastnn::cuda {

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

// Calls run(Row type tag) with the way to hold rows of this length.
template <class Row>
struct Tag {
  using type = Row;
};
template <class T, class F>
void choose_row(int64_t rows, int64_t cols, Stream stream, F run) {
  if (rows == 0) return;
  if (cols > std::numeric_limits<int>::max() - kRowThreads)
    throw DeviceError("rows of " + std::to_string(cols) + " are too long");
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

}  // namespace fastnn::cuda
