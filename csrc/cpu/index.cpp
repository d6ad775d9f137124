// Elements picked by int32 indices: gathers with their gradients, and the rows of minibatches.
//
// An index outside its axis is a fault, and what it would have picked is 0. Where several indices
// name one place, gradients are added in the order of the indices, whoever adds them.
#include "cpu/broadcast.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

namespace {

// The index as a place in an axis of n, counted from the end if negative; -1 and a fault if
// outside.
FASTNN_INLINE int64_t place(int32_t index, int64_t n) {
  const int64_t i = index < 0 ? index + n : index;
  if (i >= 0 && i < n) return i;
  team::fault("index", index, n);
  return -1;
}

// y[0..n) += x[0..n)
template <class T>
FASTNN_INLINE void add_to(T* y, const T* x, int64_t n) {
  using V = Vec<T>;
  for (int64_t i = 0; i < n; i += V::size)
    (V::load_n(y + i, n - i) + V::load_n(x + i, n - i)).store_n(y + i, n - i);
}

}  // namespace

void take(In x, In index, Out y) noexcept {
  const int64_t n = x.dim(1), i = x.dim(2), k = index.dim(0), rows = x.dim(0) * k;
  const int32_t* at = index.data<int32_t>();
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* px = x.data<T>();
    T* py = y.data<T>();
    pieces(rows, larger(1, kElementGrain / (i + 1)), [&](int64_t begin, int64_t end) {
      const T* row = px + begin / k * n * i;
      for (int64_t r = begin, q = begin % k; r < end; ++r, ++q) {
        if (q == k) {
          q = 0;
          row += n * i;
        }
        const int64_t from = place(at[q], n);
        if (from < 0)
          memset(py + r * i, 0, i * sizeof(T));
        else if (i == 1)
          py[r] = row[from];
        else
          memcpy(py + r * i, row + from * i, i * sizeof(T));
      }
    });
  });
}

// Each tile owns a range of places and reads all indices: no two tiles write one place.
void take_grad(In index, In dy, Out dx) noexcept {
  const int64_t o = dx.dim(0), n = dx.dim(1), i = dx.dim(2), k = index.dim(0);
  if (dx.size() == 0) return;
  const int32_t* at = index.data<int32_t>();
  const int64_t most = i < 8 ? 4 : 16;  // short rows do not repay reading the indices many times
  const int64_t ranges = larger(1, smaller(smaller(n, most), (dy.size() + dx.size()) / 32768 / o));
  with_float(dx.dtype(), [&](auto t) {
    using T = decltype(t);
    tiles(o * ranges, [&](int64_t tile) {
      const int64_t row = tile / ranges, part = tile % ranges;
      const int64_t first = n * part / ranges, last = n * (part + 1) / ranges;
      T* to = dx.data<T>() + row * n * i;
      const T* from = dy.data<T>() + row * k * i;
      memset(to + first * i, 0, (last - first) * i * sizeof(T));
      for (int64_t q = 0; q < k; ++q) {
        const int64_t p = place(at[q], n);
        if (p < first || p >= last) continue;
        if (i == 1)
          to[p] += from[q];
        else
          add_to(to + p * i, from + q * i, i);
      }
    });
  });
}

void take_along(In x, In index, Out y) noexcept {
  const int64_t n = x.dim(-1), k = y.dim(-1);
  if (y.size() == 0) return;
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(y.size(), kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        const int64_t p = place(index.data<int32_t>()[q], n);
        y.data<T>()[q] = p < 0 ? T(0) : x.data<T>()[q / k * n + p];
      }
    });
  });
}

void take_along_grad(In index, In dy, Out dx) noexcept {
  const int64_t n = dx.dim(-1), k = index.dim(-1);
  if (dx.size() == 0) return;
  with_float(dx.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(dx.size() / n, larger(1, kElementGrain / (n + k)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* to = dx.data<T>() + r * n;
        memset(to, 0, n * sizeof(T));
        for (int64_t q = r * k; q < (r + 1) * k; ++q) {
          const int64_t p = place(index.data<int32_t>()[q], n);
          if (p >= 0) to[p] += dy.data<T>()[q];
        }
      }
    });
  });
}

// --- minibatches
// ----------------------------------------------------------------------------------

namespace {

// f(row of the batch, row of the data or -1) for the whole batch, the memory two rows ahead already
// on its way: shuffled rows are out of the prefetcher's sight.
template <class F>
FASTNN_INLINE void each_row(const In& data, const In& index, int64_t row_bytes, F f) {
  const int64_t n = data.dim(0), b = index.dim(0);
  const int32_t* at = index.data<int32_t>();
  const char* base = data.data<char>();
  pieces(b, larger(1, 65536 / (row_bytes + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (r + 2 < end && at[r + 2] >= 0 && at[r + 2] < n) {
        const char* ahead = base + at[r + 2] * row_bytes;
        for (int64_t line = 0; line < row_bytes && line < 1024; line += 64)
          __builtin_prefetch(ahead + line);
      }
      const bool inside = at[r] >= 0 && at[r] < n;
      if (!inside) team::fault("index", at[r], n);
      f(r, inside ? at[r] : -1);
    }
  });
}

}  // namespace

void gather_rows(In data, In index, Out y) noexcept {
  const int64_t bytes =
      data.product(1, data.rank()) * static_cast<int64_t>(item_bytes(data.dtype()));
  each_row(data, index, bytes, [&](int64_t r, int64_t from) {
    char* to = y.data<char>() + r * bytes;
    if (from < 0)
      memset(to, 0, bytes);
    else
      memcpy(to, data.data<char>() + from * bytes, bytes);
  });
}

void gather_rows_scaled(In data, In index, Out y, double scale) noexcept {
  const int64_t n = data.product(1, data.rank());
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    const T factor = static_cast<T>(scale);
    each_row(data, index, n, [&](int64_t r, int64_t from) {
      const uint8_t* x = data.data<uint8_t>() + (from < 0 ? 0 : from) * n;
      T* to = y.data<T>() + r * n;
      if (from < 0)
        memset(to, 0, n * sizeof(T));
      else
        for (int64_t k = 0; k < n; ++k) to[k] = static_cast<T>(x[k]) * factor;
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
