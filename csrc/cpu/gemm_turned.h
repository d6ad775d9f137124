// NT products of few rows, as the gradient of a dense layer's input has for a small batch: turning
// b round would cost as much as the product itself, so the product is turned round instead,
//     c^T (n,m) = b^T a^T,
// where the rows of b^T are the columns of b, read as they are stored, and the small a is packed.
// Finished blocks of c^T are transposed on their way to c. The sums are those of gemm_block(), in
// the same order.
#pragma once
#include "cpu/gemm_pack.h"

namespace fastnn::FASTNN_ISA {

inline constexpr int64_t kTurnedRows = 32, kTurnedDepth = 2048;

template <class T>
FASTNN_INLINE bool is_turned(const Gemm<T>& g) {
  return g.b.layout == Right<T>::kColumnMajor && !g.a.transposed && g.a.run == kWhole &&
         g.a.group == kWhole && g.m > Vec<T>::size / 2 && g.m <= kTurnedRows && g.n > 1 &&
         g.k >= 2 * Vec<T>::size && g.k <= kTurnedDepth;
}

// The block (i0..i1, j0..j1) of c; finish(i, rows, j, cols) for each part that is done. `packed_a`
// has room for kTurnedDepth x kTurnedRows elements.
template <class T, class Finish>
FASTNN_INLINE void turned(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
                          T* packed_a, Finish finish) {
  constexpr int64_t V = Vec<T>::size, NR = kPanel<T>, kColumns = 6 * kRows;
  constexpr int part = kPart<T>;
  const int64_t rows = padded_columns<T>(i1 - i0);
  pack_right_as<Numbers<T>>(packed_a, g.k, i1 - i0,
                            Right<T>::column_major(g.a.data + i0 * g.a.ld, g.a.ld), 0, g.k, 0,
                            i1 - i0);
  alignas(64) T sums[kColumns * NR];
  for (int64_t j = j0; j < j1; j += kColumns) {
    const int64_t count = j1 - j < kColumns ? j1 - j : kColumns;
    for (int64_t i = i0; i < i1; i += NR) {
      const int64_t width = i1 - i < NR ? i1 - i : NR;
      for (int64_t p = 0; p < g.k || p == 0; p += kBlockK) {
        Block<T> t;
        t.k = g.k - p < kBlockK ? g.k - p : kBlockK;
        t.b = packed_a + p * rows + (i - i0) * t.k;
        t.ldb = t.pair = NR;
        t.a_step = 1;
        t.ldc = t.add_ld = NR;
        t.cols = width > V ? NR : V;
        for (int64_t q = 0; q < count; q += t.rows) {
          t.rows = block_rows(count - q);
          for (int r = 0; r < t.rows; ++r) t.a[r] = scalar_address(g.b.data + (j + q + r) * g.b.ld);
          t.c = sums + q * NR;
          t.add = p ? t.c : nullptr;
          block_kernel_of(t, p, kWhole, nullptr, false);
        }
      }
      // Columns of sums are rows of c.
      for (int64_t q = 0; q < count; q += V) {
        const int64_t cols = count - q < V ? count - q : V;
        for (int64_t r = 0; r < width; r += part) {
          alignas(64) T block[part * V];
          if (cols == V)
            transpose16(sums + q * NR + r, NR, block, V);
          else
            for (int64_t u = 0; u < cols; ++u)
              for (int64_t v = 0; v < part; ++v) block[v * V + u] = sums[(q + u) * NR + r + v];
          for (int64_t v = 0; v < part && r + v < width; ++v) {
            Vec<T> x = Vec<T>::load_n(block + v * V, cols);
            if (g.add) x += Vec<T>::load_n(g.add + (i + r + v) * g.add_ld + j + q, cols);
            x.store_n(g.c + (i + r + v) * g.ldc + j + q, cols);
          }
        }
      }
      finish(i, width, j, count);
    }
  }
}

}  // namespace fastnn::FASTNN_ISA
