// Rows of a table by index. The gradient adds rows back in the order of the indices: each tile owns
// a range of the table's rows and reads all indices, so there are no atomics and one fixed order.
#include <string.h>

#include "cpu/rows.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

void embedding(In index, In table, Out y) noexcept {
  const int64_t n = index.size(), rows = table.dim(0), d = table.dim(1);
  const size_t bytes = size_t(d) * item_bytes(table.dtype());
  const int32_t* const at = index.data<int32_t>();
  const char* const from = table.data<char>();
  char* const to = y.data<char>();
  each_row(n, d, [&](int64_t i) {
    constexpr int64_t ahead = 8;  // rows lie anywhere: ask for them before they are needed
    if (i + ahead < n && at[i + ahead] >= 0 && at[i + ahead] < rows)
      __builtin_prefetch(from + size_t(at[i + ahead]) * bytes);
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
  int64_t owners = rows * d / 16384 + 1;
  if (owners > 16) owners = 16;
  with_float(dtable.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const grad = dy.data<T>();
    T* const sums = dtable.data<T>();
    tiles(owners, [&](int64_t owner) {
      const int64_t begin = rows * owner / owners, end = rows * (owner + 1) / owners;
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

}  // namespace fastnn::FASTNN_ISA
