// Matrix products and what dense layers need beside them. All stand on gemm.h; here are only the
// shapes. Leading axes of x count as rows.
#include "cpu/activate.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <class T>
Gemm<T> product_nn(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  // A single column is contiguous either way.
  const Right<T> right = n == 1 ? Right<T>::column_major(b, k) : Right<T>::row_major(b, n);
  return {.m = m, .n = n, .k = k, .a = {.data = a, .ld = k}, .b = right, .c = c, .ldc = n};
}

template <class T>
Gemm<T> product_nt(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  const Right<T> right = Right<T>::column_major(b, k);
  return {.m = m, .n = n, .k = k, .a = {.data = a, .ld = k}, .b = right, .c = c, .ldc = n};
}

// a (m,k), b (m,n), c (k,n).
template <class T>
Gemm<T> product_tn(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  // The gradient of weights to one output: c^T (1,k) = b^T a reads a once and as stored.
  if (n == 1 || k == 1) {
    Gemm<T> row = n == 1 ? product_nn(1, m, k, b, a, c) : product_nn(1, m, n, a, b, c);
    row.rounds = repays_rounding(k);
    return row;
  }
  const Left<T> left = {.data = a, .ld = k, .transposed = true};
  return {.m = k,
          .n = n,
          .k = m,
          .a = left,
          .b = Right<T>::row_major(b, n),
          .c = c,
          .ldc = n,
          .rounds = repays_rounding(k)};
}

// Many products of the same size, one after the other in memory.
template <class T, class Product>
FASTNN_INLINE void batched(int64_t count, Product product) {
  // Small ones are tiles themselves; large ones are shared by the whole team.
  const Gemm<T> first = product(0);
  if (first.m * first.n * (first.k + 16) < int64_t(1) << 22) {
    tiles(count, [&](int64_t s) {
      if (!team::broken_off()) gemm_serial(product(s));
    });
  } else {
    for (int64_t s = 0; s < count; ++s) gemm_with_scratch(product(s));
  }
}

// ---- sums over rows -----------------------------------------------------------------------------

constexpr int kStripVectors = 4;
constexpr int64_t kSumChunk = 256;

// to = sum of `rows` rows of NV vectors, ld apart; the last row has `last` columns, the others have
// `cols`. Chunks of rows are summed, and the sums of the chunks added in pairs, pairs of pairs and
// so on: the error grows with the logarithm of `rows`. The pairing is a binary counter: sum number
// c closes one level for every trailing 1 bit of c.
template <int NV, class T>
FASTNN_OUTLINE void sum_vectors(const T* x, int64_t ld, int64_t rows, int64_t cols, int64_t last,
                                T* to) {
  using V = Vec<T>;
  constexpr int kLevels = 56;
  V level[kLevels][NV], sum[NV];
  const int64_t chunks = (rows + kSumChunk - 1) / kSumChunk;
  auto add = [&](int64_t row, int64_t width) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v)
      sum[v] += V::load_n(x + row * ld + v * V::size, width - v * V::size);
  };
  for (int64_t c = 0; c < chunks; ++c) {
    const int64_t end = smaller((c + 1) * kSumChunk, rows);
    const int64_t whole = end == rows ? end - 1 : end;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[v] = V(T(0));
    for (int64_t row = c * kSumChunk; row < whole; ++row) add(row, cols);
    if (end == rows) add(whole, last);
    int depth = 0;
    for (int64_t bits = c; bits & 1; bits >>= 1, ++depth)
      for (int v = 0; v < NV; ++v) sum[v] = level[depth][v] + sum[v];
    for (int v = 0; v < NV; ++v) level[depth][v] = sum[v];
  }
  // What is left are the levels of the 1 bits of `chunks`, the lowest the latest.
  for (int v = 0; v < NV; ++v) sum[v] = V(T(0));
  for (int depth = 0; depth < kLevels; ++depth)
    if (chunks >> depth & 1)
      for (int v = 0; v < NV; ++v) sum[v] = level[depth][v] + sum[v];
  for (int v = 0; v < NV; ++v) sum[v].store_n(to + v * V::size, cols - v * V::size);
}

// The first kStripVectors vectors of columns, or as many as there are. `to` may be x.
template <class T>
void sum_strip(const T* x, int64_t ld, int64_t rows, int64_t cols, int64_t last, T* to) {
  static_assert(kStripVectors == 4);
  switch (smaller(ceil_div(cols, Vec<T>::size), kStripVectors)) {
    case 1:
      return sum_vectors<1>(x, ld, rows, cols, last, to);
    case 2:
      return sum_vectors<2>(x, ld, rows, cols, last, to);
    case 3:
      return sum_vectors<3>(x, ld, rows, cols, last, to);
    default:
      return sum_vectors<4>(x, ld, rows, cols, last, to);
  }
}

}  // namespace

void matmul_nn(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.cols();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm_with_scratch(product_nn(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void matmul_nt(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.rows();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm_with_scratch(product_nt(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void matmul_tn(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.cols();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm_with_scratch(product_tn(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void dense(In x, In w, In b, Out y, int64_t activation, double alpha) noexcept {
  const int64_t m = x.rows(), k = x.cols(), n = w.cols();
  if (!known(activation, "activation")) return;
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    Gemm<T> g = product_nn(m, k, n, x.data<T>(), w.data<T>(), y.data<T>());
    if (b) g.add = b.data<T>();
    gemm_with_scratch(g, Activate<T>{(Activation)activation, alpha});
  });
}

void batch_matmul_nn(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_nn(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * k * n,
                        c.data<T>() + s * m * n);
    });
  });
}

void batch_matmul_nt(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-2);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_nt(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * n * k,
                        c.data<T>() + s * m * n);
    });
  });
}

void batch_matmul_tn(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_tn(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * m * n,
                        c.data<T>() + s * k * n);
    });
  });
}

// Columns are shared in strips of a few vectors, and where these are few, rows in blocks, whose
// sums are added in order. Both hang on the shape alone, so the order is the same for any team.
void sum_rows(In x, Out y) noexcept {
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    constexpr int V = Vec<T>::size;
    constexpr int64_t kStrip = kStripVectors * V, kWantedTiles = 16;
    int64_t rows = x.rows(), cols = x.cols(), last = cols;
    const int64_t n = cols;
    const T* from = x.data<T>();
    if (n < V && n > 0 &&
        V % n == 0) {  // several rows fill a vector, and its lanes add up at the end
      const int64_t all = rows * n;
      rows = ceil_div(all, V);
      cols = V;
      last = all - (rows - 1) * V;
    }
    const int64_t strips = ceil_div(cols, kStrip);
    const int64_t most = smaller(ceil_div(kWantedTiles, larger(strips, 1)), rows / kSumChunk);
    T* sums = y.data<T>();
    int64_t blocks = 1;
    if (most > 1 || cols > n) {
      blocks = larger(most, 1);
      sums = static_cast<T*>(team::shared_scratch(team::kSharedBytes));
      team::barrier();
    }
    tiles(blocks * strips, [&](int64_t i) {
      const int64_t block = i / strips, j = i % strips * kStrip;
      const int64_t begin = rows * block / blocks, end = rows * (block + 1) / blocks;
      sum_strip(from + begin * cols + j, cols, end - begin, cols - j,
                (end == rows ? last : cols) - j, sums + block * cols + j);
    });
    if (sums == y.data<T>()) return;
    team::barrier();
    if (is_first_member()) {
      for (int64_t j = 0; j < cols; j += kStrip)
        sum_strip(sums + j, cols, blocks, cols - j, cols - j, sums + j);
      T* to = y.data<T>();
      for (int64_t j = 0; j < n; ++j) to[j] = sums[j];
      for (int64_t j = n; j < cols; ++j) to[j % n] += sums[j];
    }
    team::barrier();
  });
}

}  // namespace fastnn::FASTNN_ISA
