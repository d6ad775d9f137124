// Rows of a table by index, or their mean over a sequence. The gradient adds rows back in the order
// of the indices: each tile owns a range of the table's rows and reads all indices, so there are no
// atomics and one fixed order.
#include <string.h>

#include "cpu/rows.h"
#include "cpu/strips.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {
namespace {

constexpr int64_t kAhead = 8;  // rows lie anywhere: ask for them before they are needed

// f(begin, end) for ranges of the rows of a table, and whoever has one reads all indices.
template <class F>
FASTNN_INLINE void owners(int64_t rows, int64_t d, F f) {
  const int64_t count = smaller(rows * d / 16384 + 1, 16);
  tiles(count, [&](int64_t i) { f(rows * i / count, rows * (i + 1) / count); });
}

}  // namespace

void embedding(In index, In table, Out y) noexcept {
  const int64_t n = index.size(), rows = table.dim(0), d = table.dim(1);
  const size_t bytes = size_t(d) * item_bytes(table.dtype());
  const int32_t* const at = index.data<int32_t>();
  const char* const from = table.data<char>();
  char* const to = y.data<char>();
  each_row(n, d, [&](int64_t i) {
    if (i + kAhead < n && at[i + kAhead] >= 0 && at[i + kAhead] < rows)
      __builtin_prefetch(from + size_t(at[i + kAhead]) * bytes);
    if (at[i] < 0 || at[i] >= rows) {
      team::fault("index", at[i], rows);
      memset(to + size_t(i) * bytes, 0, bytes);
      return;
    }
    memcpy(to + size_t(i) * bytes, from + size_t(at[i]) * bytes, bytes);
  });
}

void embedding_grad(In index, In dy, Out dtable) noexcept {
  const int64_t n = index.size(), rows = dtable.dim(0), d = dtable.dim(1);
  const int32_t* const at = index.data<int32_t>();
  with_float(dtable.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const grad = dy.data<T>();
    T* const sums = dtable.data<T>();
    owners(rows, d, [&](int64_t begin, int64_t end) {
      memset(sums + begin * d, 0, size_t((end - begin) * d) * sizeof(T));
      for (int64_t i = 0; i < n; ++i) {
        if (at[i] < begin || at[i] >= end) continue;
        T* const row = sums + at[i] * d;
        along<T>(d, [&](int64_t j, int64_t m) {
          (Vec<T>::load_n(row + j, m) + Vec<T>::load_n(grad + i * d + j, m)).store_n(row + j, m);
        });
      }
    });
  });
}

// As global_average_pool() of embedding(), whose rows need not be written.
void embedding_mean(In index, In mask, In table, Out y) noexcept {
  const int64_t n = index.dim(0), l = index.dim(1), rows = table.dim(0), d = table.dim(1);
  with_float(table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    strips<T>(n, d, [&](int64_t text, int64_t j, int64_t left, auto width) {
      constexpr int64_t kChunk = 128;  // summed apart, so that errors stay small on long axes
      const int32_t* const at = index.data<int32_t>() + text * l;
      const uint8_t* const keep = mask ? mask.data<uint8_t>() + text * l : nullptr;
      const T* const from = table.data<T>() + j;
      V total[width.count], sum[width.count];
      for (V& v : total) v = V(T(0));
      for (int64_t begin = 0; begin < l; begin += kChunk) {
        for (V& v : sum) v = V(T(0));
        for (int64_t i = begin; i < smaller(begin + kChunk, l); ++i) {
          if (at[i] < 0 || at[i] >= rows) {
            team::fault("index", at[i], rows);
            continue;
          }
          if (i + kAhead < l && at[i + kAhead] >= 0 && at[i + kAhead] < rows)
            for (int v = 0; v < width.count; ++v)
              __builtin_prefetch(from + at[i + kAhead] * d + v * V::size);
          if (keep && !keep[i]) continue;
          each_vector<T>(width, left, [&](int v, int64_t offset, int64_t count) {
            sum[v] += V::load_n(from + at[i] * d + offset, count);
          });
        }
        for (int v = 0; v < width.count; ++v) total[v] += sum[v];
      }
      const int64_t count = keep ? count_true(keep, l) : l;
      each_vector<T>(width, left, [&](int v, int64_t offset, int64_t lanes) {
        (total[v] / V(T(count ? count : 1))).store_n(y.data<T>() + text * d + j + offset, lanes);
      });
    });
  });
}

void embedding_mean_grad(In index, In mask, In dy, Out dtable) noexcept {
  const int64_t n = index.dim(0), l = index.dim(1), rows = dtable.dim(0), d = dtable.dim(1);
  with_float(dtable.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    T* const sums = dtable.data<T>();
    owners(rows, d, [&](int64_t begin, int64_t end) {
      memset(sums + begin * d, 0, size_t((end - begin) * d) * sizeof(T));
      for (int64_t text = 0; text < n; ++text) {
        const int32_t* const at = index.data<int32_t>() + text * l;
        const uint8_t* const keep = mask ? mask.data<uint8_t>() + text * l : nullptr;
        const T* const grad = dy.data<T>() + text * d;
        const int64_t count = keep ? count_true(keep, l) : l;
        const V share(T(1) / T(count ? count : 1));
        for (int64_t i = 0; i < l; ++i) {
          if (at[i] < begin || at[i] >= end || (keep && !keep[i])) continue;
          T* const row = sums + at[i] * d;
          along<T>(d, [&](int64_t j, int64_t m) {
            fma(V::load_n(grad + j, m), share, V::load_n(row + j, m)).store_n(row + j, m);
          });
        }
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
