// Rows: a matrix's last axis, a few rows to a tile, and sums and maxima along one of them in a
// fixed order. A row belongs to one tile, so its passes find it in the first-level cache.
#pragma once

#include "cpu/simd_lanes.h"
#include "cpu/team.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

// Calls f(row) for every row, shared in tiles of about `elements` numbers.
template <class F>
FASTNN_INLINE void each_row(int64_t rows, int64_t cols, F f, int64_t elements = 8192) {
  const int64_t grain = cols < elements ? elements / (cols > 0 ? cols : 1) : 1;
  pieces(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  });
}

// Calls f(i, count) along a row: count is the vector's size but at the end of the row.
template <class T, class F>
FASTNN_INLINE void along(int64_t n, F f) {
  constexpr int lanes = Vec<T>::size;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, int64_t(lanes));
  if (i < n) f(i, n - i);
}

// sum of term(i, count) over the row; lanes beyond count do not enter. Blocks of 4096 in four
// vectors of T, the blocks in double, so the error does not grow with long rows.
template <class T, class F>
FASTNN_INLINE double row_sum(int64_t n, F term) {
  using V = Vec<T>;
  constexpr int lanes = V::size;
  constexpr int64_t block = 4096;
  double total = 0;
  int64_t i = 0;
  while (i < n) {
    const int64_t end = n - i < block ? n : i + block;
    V a(0), b(0), c(0), d(0);
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      a += term(i, int64_t(lanes));
      b += term(i + lanes, int64_t(lanes));
      c += term(i + 2 * lanes, int64_t(lanes));
      d += term(i + 3 * lanes, int64_t(lanes));
    }
    for (; i + lanes <= end; i += lanes) a += term(i, int64_t(lanes));
    if (i < end) {
      b += select(first_n<T>(end - i), term(i, end - i), V(0));
      i = end;
    }
    total += double(reduce_add((a + b) + (c + d)));
  }
  return total;
}

// The largest element; -infinity for an empty row. A NaN may get lost: whoever sums the row finds
// it.
template <class T>
FASTNN_INLINE T row_max(const T* x, int64_t n) {
  using V = Vec<T>;
  constexpr int lanes = V::size;
  const V lowest((T)-__builtin_inf());
  V a = lowest, b = lowest;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    a = max_or_second(a, V::load(x + i));
    b = max_or_second(b, V::load(x + i + lanes));
  }
  for (; i + lanes <= n; i += lanes) a = max_or_second(a, V::load(x + i));
  if (i < n) b = max_or_second(b, select(first_n<T>(n - i), V::load_n(x + i, n - i), lowest));
  return fold_max(max_or_second(a, b).v);
}

}  // namespace fastnn::FASTNN_ISA
